/** R14 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R14 } from "./rows/R14.ts"

testRow(R14)
