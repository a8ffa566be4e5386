/** R2 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R02 } from "./rows/R02.ts"

testRow(R02)
