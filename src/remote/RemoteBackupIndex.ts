/**
 * RemoteBackupIndex: one index that a server is writing: its chunks are named in their order, many at a time, each
 * after it was uploaded.
 *
 * A chunk belongs to the whole session: one index may name what another one has uploaded, or is uploading just now.
 * `Landings` knows which are on their way; whoever names one waits for it, and fails with it.
 *
 * Invariant: a batch is sent when the one before was answered, and when every chunk it names has arrived.
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import { type BackupCalls, type Closing, kindOf, type NewChunk } from "./RemoteBackupCalls.ts"
import type { RemoteError } from "./RemoteError.ts"

/** The chunks of a session that are on their way to the server. */
export class Landings {
  readonly #underWay = new Map<Digest.Digest, Deferred.Deferred<void, RemoteError>>()

  /** From now on somebody is going to upload it. */
  expect(digest: Digest.Digest): void {
    if (!this.#underWay.has(digest)) this.#underWay.set(digest, Deferred.makeUnsafe())
  }

  /** Until it is there, if it is on its way. */
  wait(digest: Digest.Digest): Effect.Effect<void, RemoteError> {
    const landing = this.#underWay.get(digest)
    return landing === undefined ? Effect.void : Deferred.await(landing)
  }

  /** What has failed stays: nobody may name it. */
  settle(digest: Digest.Digest, exit: Exit.Exit<unknown, RemoteError>): void {
    const landing = this.#underWay.get(digest)
    if (landing === undefined) return
    if (exit._tag === "Success") this.#underWay.delete(digest)
    Deferred.doneUnsafe(landing, Effect.asVoid(exit))
  }
}

export interface RemoteIndex {
  /** The next chunk in order; it is known to the server, was uploaded, or `landings` expects it. */
  readonly append: (digest: Uint8Array, sizeBytes: number) => void
  readonly upload: (chunk: NewChunk) => Effect.Effect<void, RemoteError>
  /** All chunks were appended and uploaded: the server compares what it has with this. */
  readonly close: (closing: Closing) => Effect.Effect<void, RemoteError>
}

interface Entry {
  readonly digest: Uint8Array
  readonly offset: number
}

/** Some 340 KiB of JSON; a server takes 512. */
const appendedTogether = 4096

/** `sizeBytes`: of an image. */
export const open = (
  calls: BackupCalls,
  landings: Landings,
  archive: ArchiveName,
  sizeBytes: number | undefined
): Effect.Effect<RemoteIndex, RemoteError, Scope.Scope> =>
  Effect.gen(function* () {
    const kind = kindOf(archive)
    const wid = yield* calls.createIndex(archive, sizeBytes)
    const entries = yield* Queue.unbounded<Entry, Cause.Done>()
    let end = 0

    const send = (batch: ReadonlyArray<Entry>): Effect.Effect<void, RemoteError> =>
      Effect.gen(function* () {
        const digests = batch.map(({ digest }) => Digest.fromBytes(digest))
        for (const digest of digests) yield* landings.wait(digest)
        yield* calls.append(
          kind,
          wid,
          digests,
          batch.map(({ offset }) => offset)
        )
      })

    const sendAll = Effect.forever(
      Effect.flatMap(Queue.takeBetween(entries, appendedTogether, appendedTogether), send)
    ).pipe(Effect.catchTag("Done", () => Effect.void))
    const sending = yield* Effect.forkScoped(sendAll)

    return {
      append: (digest, chunkBytes) => {
        Queue.offerUnsafe(entries, { digest, offset: end })
        end += chunkBytes
      },
      upload: (chunk) => calls.uploadChunk(kind, wid, chunk),
      close: (closing) =>
        Effect.gen(function* () {
          yield* Queue.end(entries)
          yield* Fiber.join(sending)
          yield* calls.closeIndex(kind, wid, closing)
        })
    }
  })
