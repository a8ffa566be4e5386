/**
 * CacheId: by what the hosts on one datastore in a bucket know each other: a random text in the cache folder. Processes
 * on one folder share it, and with it guards, locks and leases; they are one host.
 *
 * A copy of a folder is another host. So the id is written down together with the number of the inode of `.chunks`, and
 * counts only beside it. Two processes that make an id for one folder at once may know different ones, until they end:
 * then each takes the other for another host, which costs patience and no data.
 */
import * as Effect from "effect/Effect"
import { randomHex } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { StoreLayout } from "../StoreLayout.ts"

const fileMaxBytes = 4096
const idBytes = 16
const linePattern = /^([0-9a-f]{32}) (\d+)\n$/

const known = (layout: StoreLayout, inode: bigint): Effect.Effect<string | undefined, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const text = yield* files.readFile(layout.cacheId, fileMaxBytes).pipe(
      Effect.map((bytes) => Buffer.from(bytes).toString()),
      Effect.catchIf(
        (error) => isNotFound(error) || error.reason === "TooLarge",
        () => Effect.succeed("")
      )
    )
    const [, id, ofInode] = linePattern.exec(text) ?? []
    return ofInode === String(inode) ? id : undefined
  })

/** The id of the folder; made when there is none, or when the folder is a copy of another one. */
export const obtain = (layout: StoreLayout): Effect.Effect<string, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { inode } = yield* files.stat(layout.chunks)
    const found = yield* known(layout, inode)
    if (found !== undefined) return found
    const id = yield* randomHex(idBytes)
    yield* files.replaceFile(layout.cacheId, [Buffer.from(`${id} ${inode}\n`)], { sync: true })
    return (yield* known(layout, inode)) ?? id
  })
