/** R22 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R22 } from "./rows/R22.ts"

testRow(R22)
