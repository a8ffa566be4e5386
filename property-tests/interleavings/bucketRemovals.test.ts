/** R10, R23, R27, R30 of the race ledger, for datastores in buckets. */
import { testRow } from "./harness/testRow.ts"
import { R10 } from "./rows/bucket/R10.ts"
import { R23 } from "./rows/bucket/R23.ts"
import { R27 } from "./rows/bucket/R27.ts"
import { R30 } from "./rows/bucket/R30.ts"

for (const row of [R10, R23, R27, R30]) testRow(row)
