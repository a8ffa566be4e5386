/**
 * TimeCheck: proves, before anything is swept, that the file system keeps the access times it is told. Writers mark a
 * chunk they find in the store by touching it; where that has no effect, a chunk in use would look abandoned.
 *
 * A file that was last touched two seconds ago or more tells at once; otherwise it takes a second, as times are
 * compared in whole seconds.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import * as Digest from "../model/Digest.ts"
import { Files, type FileStat, isNotFound } from "../platform/Files.ts"
import { chunkPath } from "../store/StoreLayout.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

const settleSeconds = 2

/** A little over a second: two moments this far apart never share one. */
const pauseMillis = 1010

const useless = (path: string): StoreError =>
  storeError(
    "Refused",
    path,
    "this file system does not keep access times, so nothing can be collected safely"
  )

/** Undefined when somebody put another file into its place meanwhile. */
const moves = (
  path: string,
  before: FileStat,
  touch: Effect.Effect<boolean, StorageError>
): Effect.Effect<boolean | undefined, StorageError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* touch
    const after = yield* files.stat(path)
    return after.inode === before.inode ? after.atimeSeconds > before.atimeSeconds : undefined
  })

/** By the note that the last collection left behind; undefined when there is none, or it is too young. */
export const byOldFile = (path: string): Effect.Effect<boolean | undefined, Failure, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const before = yield* files.stat(path).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    if (before?.kind !== "file" || before.atimeSeconds > nowSeconds - settleSeconds) return undefined
    if ((yield* moves(path, before, files.touch(path))) === false) return yield* useless(path)
    return true
  })

/** By a file that may be young. */
const byWaiting = (
  path: string,
  touch: Effect.Effect<boolean, StorageError>
): Effect.Effect<void, Failure, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    for (let attempt = 0; attempt < 2; attempt++) {
      yield* Effect.sleep(pauseMillis)
      const moved = yield* moves(path, yield* files.stat(path), touch)
      if (moved === true) return
      if (moved === false) break
    }
    return yield* useless(path)
  })

/** By the note of this collection, which was written just now. */
export const byNote = (path: string): Effect.Effect<void, Failure, Files> =>
  Effect.flatMap(Files, (files) => byWaiting(path, files.touch(path)))

const probeSizeBytes = 4 * 1024 * 1024

/** As Proxmox Backup Server does it, by a chunk of four MiB of zeros, which an unused datastore has as well. */
export const byChunk = ({ chunks, layout }: Datastore["Service"]): Effect.Effect<void, Failure, Files> =>
  Effect.gen(function* () {
    const data = new Uint8Array(probeSizeBytes)
    const digest = Digest.fromBytes(yield* chunks.digest(data, undefined))
    yield* chunks.insert({ digest, data, compress: true, crypt: undefined })
    yield* byWaiting(chunkPath(layout, digest), chunks.touch(digest))
  })
