/** R13, R14, R17, R21 of the race ledger, for datastores in buckets. */
import { testRow } from "./harness/testRow.ts"
import { R13 } from "./rows/bucket/R13.ts"
import { R14 } from "./rows/bucket/R14.ts"
import { R17 } from "./rows/bucket/R17.ts"
import { R21 } from "./rows/bucket/R21.ts"

for (const row of [R13, R14, R17, R21]) testRow(row)
