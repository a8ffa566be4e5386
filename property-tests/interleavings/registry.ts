/**
 * All rows of the race ledger that concern a local store, in their order; then those of a store in a bucket, and of
 * syncs.
 */
import type { Row } from "./harness/Row.ts"
import { R01 } from "./rows/R01.ts"
import { R02 } from "./rows/R02.ts"
import { R06 } from "./rows/R06.ts"
import { R07 } from "./rows/R07.ts"
import { R09 } from "./rows/R09.ts"
import { R13 } from "./rows/R13.ts"
import { R14 } from "./rows/R14.ts"
import { R15 } from "./rows/R15.ts"
import { R16 } from "./rows/R16.ts"
import { R17 } from "./rows/R17.ts"
import { R18 } from "./rows/R18.ts"
import { R20 } from "./rows/R20.ts"
import { R21 } from "./rows/R21.ts"
import { R22 } from "./rows/R22.ts"
import { R29 } from "./rows/R29.ts"
import { R03 as R03InBucket } from "./rows/bucket/R03.ts"
import { R04 as R04InBucket } from "./rows/bucket/R04.ts"
import { R05 as R05InBucket } from "./rows/bucket/R05.ts"
import { R06 as R06InBucket } from "./rows/bucket/R06.ts"
import { R08 as R08InBucket } from "./rows/bucket/R08.ts"
import { R10 as R10InBucket } from "./rows/bucket/R10.ts"
import { R11 as R11InBucket } from "./rows/bucket/R11.ts"
import { R12 as R12InBucket } from "./rows/bucket/R12.ts"
import { R13 as R13InBucket } from "./rows/bucket/R13.ts"
import { R14 as R14InBucket } from "./rows/bucket/R14.ts"
import { R17 as R17InBucket } from "./rows/bucket/R17.ts"
import { R21 as R21InBucket } from "./rows/bucket/R21.ts"
import { R23 as R23InBucket } from "./rows/bucket/R23.ts"
import { R27 as R27InBucket } from "./rows/bucket/R27.ts"
import { R28 as R28InBucket } from "./rows/bucket/R28.ts"
import { R29 as R29InBucket } from "./rows/bucket/R29.ts"
import { R30 as R30InBucket } from "./rows/bucket/R30.ts"
import { R02 as R02OfSync } from "./rows/sync/R02.ts"
import { R15 as R15OfSync } from "./rows/sync/R15.ts"
import { R16 as R16OfSync } from "./rows/sync/R16.ts"
import { R20 as R20OfSync } from "./rows/sync/R20.ts"
import { R25 as R25OfSync } from "./rows/sync/R25.ts"
import { R26 as R26OfSync } from "./rows/sync/R26.ts"
import { R29 as R29OfSync } from "./rows/sync/R29.ts"
import { R29 as R29OfSyncInBucket } from "./rows/sync/R29InBucket.ts"
import { held } from "./rows/sync/held.ts"

export const rows: ReadonlyArray<Row> = [
  R01,
  R02,
  R06,
  R07,
  R09,
  R13,
  R14,
  R15,
  R16,
  R17,
  R18,
  R20,
  R21,
  R22,
  R29,
  R03InBucket,
  R04InBucket,
  R05InBucket,
  R06InBucket,
  R08InBucket,
  R10InBucket,
  R11InBucket,
  R12InBucket,
  R13InBucket,
  R14InBucket,
  R17InBucket,
  R21InBucket,
  R23InBucket,
  R27InBucket,
  R28InBucket,
  R29InBucket,
  R30InBucket,
  R02OfSync,
  R15OfSync,
  R16OfSync,
  R20OfSync,
  R25OfSync,
  R26OfSync,
  R29OfSync,
  R29OfSyncInBucket,
  held
]
