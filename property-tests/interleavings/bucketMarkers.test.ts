/** R6, R8, R11, R12 of the race ledger, for datastores in buckets. */
import { testRow } from "./harness/testRow.ts"
import { R06 } from "./rows/bucket/R06.ts"
import { R08 } from "./rows/bucket/R08.ts"
import { R11 } from "./rows/bucket/R11.ts"
import { R12 } from "./rows/bucket/R12.ts"

for (const row of [R06, R08, R11, R12]) testRow(row)
