/** R3, R4, R5, R28 of the race ledger, for datastores in buckets. */
import { testRow } from "./harness/testRow.ts"
import { R03 } from "./rows/bucket/R03.ts"
import { R04 } from "./rows/bucket/R04.ts"
import { R05 } from "./rows/bucket/R05.ts"
import { R28 } from "./rows/bucket/R28.ts"

for (const row of [R03, R04, R05, R28]) testRow(row)
