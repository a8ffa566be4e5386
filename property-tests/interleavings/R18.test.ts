/** R18 of the race ledger. */
import { testRow } from "./harness/testRow.ts"
import { R18 } from "./rows/R18.ts"

testRow(R18)
