/** R2, R15, R16 of the race ledger, for syncs, and what a sync holds. */
import { testRow } from "./harness/testRow.ts"
import { held } from "./rows/sync/held.ts"
import { R02 } from "./rows/sync/R02.ts"
import { R15 } from "./rows/sync/R15.ts"
import { R16 } from "./rows/sync/R16.ts"

for (const row of [R02, R15, R16, held]) testRow(row)
