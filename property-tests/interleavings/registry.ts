/** All rows of the race ledger that concern a local store, in their order. */
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
  R29
]
