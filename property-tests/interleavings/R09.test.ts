/** R9 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R09 } from "./rows/R09.ts"

testRow(R09)
