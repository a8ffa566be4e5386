/**
 * Upload: what one backup session of a client has come to: the store's session behind it, what the client has shown to
 * have, the indexes it is writing, the files it has stored, and the manifest it wants.
 *
 * Invariant: the manifest stays in memory until everything it names has been stored in this session with the sizes and
 * checksums it gives; only then the store's session writes it. So a snapshot is listed when it is whole, and never
 * before, wherever the client stops.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { OpenSession } from "../../backup/BackupSession.ts"
import type { Manifest } from "../../format/Manifest.ts"
import type * as Digest from "../../model/Digest.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { IndexWriters } from "./IndexWriters.ts"
import { KnownSizes } from "./KnownSizes.ts"

/** A file as it lies in the snapshot's folder by now. */
export interface StoredFile {
  readonly sizeBytes: number
  readonly csum: Digest.Digest
}

export interface Upload {
  readonly session: OpenSession
  readonly known: KnownSizes
  readonly writers: IndexWriters
  readonly files: Map<string, StoredFile>
  /** Small files and the manifest are stored one after the other. */
  readonly inTurn: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  manifest: Manifest | undefined
  state: "active" | "finishing" | "finished"
}

export const make = (session: OpenSession): Effect.Effect<Upload> =>
  Effect.gen(function* () {
    const entropy = yield* Entropy
    const turns = yield* Semaphore.make(1)
    return {
      session,
      known: new KnownSizes(Buffer.from(entropy(4)).readUInt32LE()),
      writers: new IndexWriters(),
      files: new Map(),
      inTurn: turns.withPermit,
      manifest: undefined,
      state: "active"
    }
  })

/** Nothing is taken any more once the client has said that this was all. */
export const requireActive = ({ state }: Upload): Effect.Effect<void, ApiError> =>
  state === "active" ? Effect.void : Effect.fail(badRequest("backup already marked as finished."))
