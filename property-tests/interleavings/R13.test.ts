/** R13 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R13 } from "./rows/R13.ts"

testRow(R13)
