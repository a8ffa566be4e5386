/**
 * downloadRoutes: files of a snapshot as they are stored, decoded, or out of a file archive. Only what is not encrypted
 * can be decoded here: the server has nobody's key.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Datastore, snapshotLockName } from "../../datastore/Datastore.ts"
import { kindLetters } from "../../model/FileMetadata.ts"
import * as ArchiveParts from "../../restore/ArchiveParts.ts"
import * as ArchiveTree from "../../restore/ArchiveTree.ts"
import * as PxarParts from "../../restore/browse/PxarParts.ts"
import type { PieceStream } from "../../restore/PieceStream.ts"
import * as SnapshotReader from "../../restore/SnapshotReader.ts"
import type * as Access from "../Access.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { rawRoute, route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import * as rawFiles from "../protocol/rawFiles.ts"
import type { Entry } from "./Router.ts"
import * as StoreCall from "./StoreCall.ts"

const reading: Access.Wanted = { all: ["Datastore.Read"], own: ["Datastore.Backup"] }

const ofSnapshot = { ...StoreCall.store, ...Parameters.ofSnapshot }

const fileRules = { ...ofSnapshot, "file-name": Parameters.fileName }

const download = rawRoute(fileRules, (values) =>
  Effect.gen(function* () {
    const place = yield* StoreCall.snapshotFor(values, "read", reading)
    const { datastore, namespace, snapshot } = place
    yield* told(datastore.locks.holdSoon(snapshotLockName(namespace, snapshot), "shared"))
    return yield* rawFiles.answer(place, yield* rawFiles.archiveNamed(values["file-name"]))
  })
)

const openReader = ({ datastore, namespace, snapshot }: StoreCall.SnapshotPlace) =>
  told(SnapshotReader.open({ namespace, snapshot })).pipe(Effect.provideService(Datastore, datastore))

const requireReadable = (
  reader: SnapshotReader.SnapshotReader,
  name: string
): Effect.Effect<void, ApiError> =>
  reader.manifest.files.some(({ cryptMode, filename }) => filename === name && cryptMode === "encrypt")
    ? Effect.fail(badRequest(`cannot decode '${name}' - is encrypted`))
    : Effect.void

const streamed = <E extends { readonly _tag: string; readonly message: string }>(
  pieces: PieceStream<E>
): Answer.Answer => ({
  kind: "stream",
  pieces: Stream.unfold(undefined, () =>
    Effect.map(told(pieces.next), (piece) =>
      piece === undefined ? undefined : ([piece, undefined] as const)
    )
  )
})

const downloadDecoded = rawRoute(fileRules, (values) =>
  Effect.gen(function* () {
    const reader = yield* openReader(yield* StoreCall.snapshotFor(values, "read", reading))
    const name = values["file-name"]
    yield* requireReadable(reader, name)
    const parts = yield* told(ArchiveParts.open(reader, name))
    if (parts.kind === "blob") return Answer.bytes(yield* told(reader.blob(parts.file)))
    return streamed(yield* parts.archive.pieces())
  })
)

const base64Text = Parameters.matching(/^[A-Za-z0-9+/_-]{1,8192}={0,2}$/)

interface Wanted {
  /** The archive's file name. */
  readonly archive: string
  readonly path: Uint8Array
}

const slash = 0x2f

/** The first component names the archive, unless a parameter does. */
const wantedOf = (encoded: string, archiveName: string | undefined): Wanted => {
  const decoded = Buffer.from(encoded, "base64")
  const start = decoded[0] === slash ? 1 : 0
  if (archiveName !== undefined) return { archive: archiveName, path: decoded.subarray(start) }
  const end = decoded.indexOf(slash, start)
  return end === -1
    ? { archive: decoded.subarray(start).toString(), path: new Uint8Array(0) }
    : { archive: decoded.subarray(start, end).toString(), path: decoded.subarray(end + 1) }
}

const openTree = (reader: SnapshotReader.SnapshotReader, archive: string) =>
  Effect.gen(function* () {
    yield* requireReadable(reader, archive)
    // Clients name the file; the tree goes by the archive.
    return yield* told(ArchiveTree.open(reader, archive.replace(/\.didx$/, "")))
  })

const archiveEntry = (node: ArchiveTree.TreeNode, archive: string) => {
  const { entry } = node
  const fullPath = Buffer.concat([Buffer.from(`/${archive}/`), node.path])
  return {
    filepath: fullPath.toString("base64"),
    text: Buffer.from(node.name).toString(),
    type: kindLetters[entry.kind],
    leaf: entry.kind !== "directory",
    ...(entry.kind === "file"
      ? { size: entry.content.sizeBytes, mtime: Number(entry.metadata.mtimeSeconds) }
      : {})
  }
}

/** The archives that can be looked into. */
const topEntries = (reader: SnapshotReader.SnapshotReader) =>
  PxarParts.all(reader.manifest).map(({ archive: { filename } }) => ({
    filepath: Buffer.from(`/${filename}`).toString("base64"),
    text: filename,
    type: "d",
    leaf: false
  }))

const catalogRules = {
  ...ofSnapshot,
  filepath: Parameters.text(1, 8192),
  "archive-name": Parameters.optional(Parameters.fileName)
}

const catalog = route(catalogRules, (values) =>
  Effect.gen(function* () {
    const { "archive-name": archiveName, filepath } = values
    const reader = yield* openReader(yield* StoreCall.snapshotFor(values, "read", reading))
    const isTop = filepath === "/" || filepath === "root"
    if (isTop && archiveName === undefined) return Answer.data(topEntries(reader))
    const { archive, path } = wantedOf(isTop ? "" : filepath, archiveName)
    const tree = yield* openTree(reader, archive)
    const nodes = yield* told(tree.list(path))
    return Answer.data(nodes.map((node) => archiveEntry(node, archive)))
  })
)

const fileDownloadRules = {
  ...ofSnapshot,
  filepath: base64Text,
  tar: Parameters.optional(Parameters.boolean),
  "archive-name": Parameters.optional(Parameters.fileName)
}

const fileDownload = rawRoute(fileDownloadRules, (values) =>
  Effect.gen(function* () {
    const reader = yield* openReader(yield* StoreCall.snapshotFor(values, "read", reading))
    const { archive, path } = wantedOf(values.filepath, values["archive-name"])
    const tree = yield* openTree(reader, archive)
    const node = yield* told(tree.lookup(path))
    if (node.entry.kind === "directory") {
      return yield* badRequest("directories cannot be downloaded: restore them with a client")
    }
    const file = yield* told(tree.locate(node))
    return streamed(yield* file.pieces)
  })
)

const below = "/admin/datastore/{store}"

export const routes: ReadonlyArray<Entry<StoreCall.Needs>> = [
  { method: "GET", pattern: `${below}/download`, route: download },
  { method: "GET", pattern: `${below}/download-decoded`, route: downloadDecoded },
  { method: "GET", pattern: `${below}/catalog`, route: catalog },
  { method: "GET", pattern: `${below}/pxar-file-download`, route: fileDownload }
]
