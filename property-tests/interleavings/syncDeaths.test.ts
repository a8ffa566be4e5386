/** R20, R25, R26, R29 of the race ledger, for syncs. */
import { testRow } from "./harness/testRow.ts"
import { R20 } from "./rows/sync/R20.ts"
import { R25 } from "./rows/sync/R25.ts"
import { R26 } from "./rows/sync/R26.ts"
import { R29 } from "./rows/sync/R29.ts"

for (const row of [R20, R25, R26, R29]) testRow(row)
