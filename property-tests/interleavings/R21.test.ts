/** R21 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R21 } from "./rows/R21.ts"

testRow(R21)
