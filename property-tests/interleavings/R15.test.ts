/** R15 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R15 } from "./rows/R15.ts"

testRow(R15)
