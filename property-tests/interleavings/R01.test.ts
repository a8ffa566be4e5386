/** R1 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R01 } from "./rows/R01.ts"

testRow(R01)
