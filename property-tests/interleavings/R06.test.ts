/** R6 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R06 } from "./rows/R06.ts"

testRow(R06)
