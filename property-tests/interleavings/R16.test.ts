/** R16 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R16 } from "./rows/R16.ts"

testRow(R16)
