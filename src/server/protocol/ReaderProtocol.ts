/**
 * ReaderProtocol: what a client can ask for in a reader session, `proxmox-backup-reader-protocol-v1`: files of one
 * snapshot as they are stored, and the chunks of the indexes that it was given in this session, no others.
 *
 * The snapshot is held shared until the session ends, so nobody removes it meanwhile.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { snapshotLockName } from "../../datastore/Datastore.ts"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import { Files } from "../../platform/Files.ts"
import { SpareMemory } from "../../platform/SpareMemory.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest, unauthorized } from "../ApiError.ts"
import { rawRoute, route, type Route, type RouteTable, subdirectories } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import * as rawFiles from "./rawFiles.ts"

const download = (place: rawFiles.Place, allowed: DigestTable): Route<Files> =>
  rawRoute({ "file-name": Parameters.fileName }, (values) =>
    Effect.gen(function* () {
      const archive = yield* rawFiles.archiveNamed(values["file-name"])
      const answer = yield* rawFiles.answer(place, archive)
      if (archive.kind === "blob") return answer
      const index = yield* rawFiles.index(place, archive)
      yield* rawFiles.eachPart(index, (first, end) => {
        for (let chunk = first; chunk < end; chunk++) allowed.add(index.entries, index.digestOffset(chunk))
      })
      return answer
    })
  )

/** What a session keeps of the memory of chunks that went out. */
const spareBytes = 32 * 1024 * 1024

const notWhole = badRequest("the chunk's file became shorter while it was read")

/** Read into memory that was used before. */
const chunkInFile = (
  path: string,
  spare: SpareMemory
): Effect.Effect<Answer.Answer, ApiError, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const handle = yield* told(files.openRead(path))
    if (handle.sizeBytes > largestBlobBytes) return yield* badRequest("the chunk's file is far too large")
    const blob = spare.take(handle.sizeBytes)
    const count = yield* told(handle.readAt(0, blob))
    if (count < blob.length) return yield* notWhole
    return Answer.lentBytes(blob, () => spare.giveBack(blob))
  })

const chunk = ({ datastore }: rawFiles.Place, allowed: DigestTable): Route<Files> => {
  const spare = new SpareMemory(spareBytes)
  return rawRoute({ digest: Parameters.digest }, ({ digest }) =>
    Effect.gen(function* () {
      if (!allowed.has(Digest.toBytes(digest))) {
        return yield* unauthorized(`download chunk ${digest} not allowed`)
      }
      const file = datastore.chunks.fileOf?.(digest)
      return file === undefined
        ? Answer.bytes(yield* told(datastore.chunks.readEncoded(digest)))
        : yield* Effect.scoped(chunkInFile(file.path, spare))
    })
  )
}

const speedtestBytes = 1024 * 1024

const speedtest: Route = rawRoute({}, () =>
  Effect.sync(() => Answer.bytes(new Uint8Array(speedtestBytes).fill(0x41)))
)

/** Opens a session on a snapshot; whoever may read it was asked before. */
export const open = (place: rawFiles.Place): Effect.Effect<RouteTable<Files>, ApiError, Scope.Scope> =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = place
    yield* told(datastore.locks.hold(snapshotLockName(namespace, snapshot), "shared"))
    yield* datastore.hierarchy.entry(namespace, snapshot).pipe(
      Effect.catchIf(
        (error) => error._tag === "StoreError" && error.reason.startsWith("NoSuch"),
        () => Effect.fail(badRequest(`snapshot ${Snapshot.format(snapshot)} does not exist.`))
      ),
      told
    )
    const entropy = yield* Entropy
    const allowed = new DigestTable(0, Buffer.from(entropy(4)).readUInt32LE())
    const table: ReadonlyArray<readonly [string, Route<Files>]> = [
      ["GET /download", download(place, allowed)],
      ["GET /chunk", chunk(place, allowed)],
      ["GET /speedtest", speedtest]
    ]
    const list = Answer.data(subdirectories(table.map(([key]) => key)))
    return new Map(table).set(
      "GET /",
      route({}, () => Effect.succeed(list))
    )
  })
