/** R7 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R07 } from "./rows/R07.ts"

testRow(R07)
