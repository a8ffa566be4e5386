/** SyncScene: what the parts of one running sync share. */
import type * as Effect from "effect/Effect"
import type { ChunkTransfer } from "./ChunkTransfer.ts"
import type { DigestMap } from "./DigestMap.ts"
import type { RecodingWork } from "./RecodingWork.ts"
import type { Retrying } from "./Retries.ts"
import type { Reporter } from "./SyncEvent.ts"
import type { CheckedOptions } from "./SyncOptions.ts"
import type { SyncMeter } from "./SyncMeter.ts"
import type { SyncSource } from "./SyncSource.ts"
import type { ChunkIntake, SyncTarget, TargetWriter } from "./SyncTarget.ts"
import type { RateLimit } from "./TransferRates.ts"

export interface SyncScene {
  readonly options: CheckedOptions
  readonly source: SyncSource["Service"]
  readonly target: SyncTarget["Service"]
  readonly writer: TargetWriter
  readonly chunks: ChunkTransfer
  /** The same for an intake of its own, in the same window. */
  readonly transferInto: (intake: ChunkIntake) => Effect.Effect<ChunkTransfer>
  readonly rateIn: RateLimit
  readonly rateOut: RateLimit
  readonly retrying: Retrying
  readonly report: Reporter
  /** Of a sync that encrypts or decrypts: what a digest of the source is called on the target. */
  readonly recoded: DigestMap
  readonly recodingWork: RecodingWork
  /** Of the whole sync. */
  readonly meter: SyncMeter
}
