/** R29 of the race ledger, for datastores in buckets. */
import { testRow } from "./harness/testRow.ts"
import { R29 } from "./rows/bucket/R29.ts"

for (const row of [R29]) testRow(row)
