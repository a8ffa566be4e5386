/** R29 of the race ledger, for syncs into buckets. */
import { testRow } from "./harness/testRow.ts"
import { R29 } from "./rows/sync/R29InBucket.ts"

for (const row of [R29]) testRow(row)
