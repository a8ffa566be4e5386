/**
 * indexUploads: making an index (`dynamic_index`, `fixed_index`): created, appended to, closed. An index becomes a file
 * of the snapshot when it is closed with the checksum that the client has worked out as well.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { FixedIndex } from "../../format/FixedIndex.ts"
import { uuidSizeBytes } from "../../format/ChunkIndex.ts"
import type { ArchiveName } from "../../model/ArchiveName.ts"
import * as Digest from "../../model/Digest.ts"
import { Entropy } from "../../platform/Entropy.ts"
import * as Answer from "../Answer.ts"
import { ApiError, badRequest } from "../ApiError.ts"
import { route, type Route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import type { IndexWriter, Reused } from "./IndexWriters.ts"
import * as rawFiles from "./rawFiles.ts"
import { requireActive, type Upload } from "./Upload.ts"

type Kind = IndexWriter["kind"]

const endings = { dynamic: ".didx", fixed: ".fidx" }

const archiveFor = (upload: Upload, kind: Kind, name: string): Effect.Effect<ArchiveName, ApiError> =>
  Effect.gen(function* () {
    const archive = Parameters.archiveOf(name)
    if (!name.endsWith(endings[kind]) || archive === undefined) {
      return yield* badRequest(`wrong archive extension: '${name}'`)
    }
    if (upload.files.has(name)) return yield* badRequest(`archive '${name}' is already part of this backup`)
    return archive
  })

const create = (
  upload: Upload,
  archive: ArchiveName,
  sizeBytes?: number,
  reused?: Reused
): Effect.Effect<Answer.Answer, ApiError> =>
  Effect.try({
    try: () => Answer.data(upload.writers.create(archive, sizeBytes, reused)),
    catch: (error) => {
      if (error instanceof ApiError) return error
      throw error
    }
  })

export const createDynamic = (upload: Upload): Route =>
  route({ "archive-name": Parameters.fileName }, (values) =>
    Effect.gen(function* () {
      yield* requireActive(upload)
      return yield* create(upload, yield* archiveFor(upload, "dynamic", values["archive-name"]))
    })
  )

/** The index that a new one begins as, when the client proves by its checksum that it means the same. */
const reusedIndex = (upload: Upload, archive: ArchiveName, csum: Digest.Digest) =>
  Effect.gen(function* () {
    const { datastore, namespace, previous } = upload.session
    if (previous === undefined)
      return yield* badRequest("cannot reuse index - no valid previous backup exists")
    if (!previous.manifest.files.some(({ filename }) => filename === archive.file)) {
      return yield* badRequest("cannot reuse index - no previous backup exists for archive")
    }
    const index = yield* rawFiles.index({ datastore, namespace, snapshot: previous.snapshot }, archive)
    const actual = index.computeChecksum()
    if (actual !== csum) {
      return yield* badRequest(
        `expected csum (${csum}) doesn't match last backup's (${actual}), cannot do incremental backup`
      )
    }
    // The new index names all of its chunks: they are proven to be there like any other.
    yield* rawFiles.eachPart(index, (first, end) => {
      for (let chunk = first; chunk < end; chunk++) upload.session.known.add(index.digestBytes(chunk))
    })
    return index as FixedIndex
  })

export const createFixed = (upload: Upload): Route =>
  route(
    {
      "archive-name": Parameters.fileName,
      size: Parameters.optional(Parameters.integer(1)),
      "reuse-csum": Parameters.optional(Parameters.digest)
    },
    (values) =>
      Effect.gen(function* () {
        yield* requireActive(upload)
        const archive = yield* archiveFor(upload, "fixed", values["archive-name"])
        const csum = values["reuse-csum"]
        if (csum === undefined) return yield* create(upload, archive, values.size)
        const index = yield* reusedIndex(upload, archive, csum)
        if (values.size !== index.sizeBytes) {
          return yield* badRequest("cannot reuse index - its size is not that of the last backup's")
        }
        return yield* create(upload, archive, values.size, { index })
      })
  )

const prefixOf = ({ archive, kind }: IndexWriter): string => `${kind} writer '${archive.file}'`

/** The writer that a request names, and which can still be written to. */
const openWriter = (
  upload: Upload,
  kind: Kind,
  wid: number,
  doing: string
): Effect.Effect<IndexWriter, ApiError> =>
  Effect.suspend(() => {
    const writer = upload.writers.get(kind, wid)
    if (writer instanceof ApiError) return Effect.fail(writer)
    return writer.isClosed
      ? Effect.fail(badRequest(`${prefixOf(writer)} ${doing} failed - already closed`))
      : Effect.succeed(writer)
  })

/** One chunk after the other, until one does not fit; those before it stay. */
const appendAll = (
  upload: Upload,
  writer: IndexWriter,
  digests: ReadonlyArray<Digest.Digest>,
  offsets: ReadonlyArray<number>
): string | undefined => {
  for (const [index, digest] of digests.entries()) {
    const digestBytes = Digest.toBytes(digest)
    const sizeBytes = upload.known.sizeOf(digestBytes)
    if (sizeBytes === undefined) return `no such chunk ${digest}`
    const problem = writer.append({ offset: offsets[index] ?? 0, sizeBytes, digestBytes })
    if (problem !== undefined) {
      return writer.kind === "dynamic" ? `${prefixOf(writer)} append chunk failed - ${problem}` : problem
    }
    upload.session.known.add(digestBytes)
  }
  return undefined
}

export const append = (upload: Upload, kind: Kind): Route =>
  route(
    {
      wid: Parameters.integer(1, 256),
      "digest-list": Parameters.list(Parameters.digest),
      "offset-list": Parameters.list(Parameters.integer(0))
    },
    (values) =>
      Effect.gen(function* () {
        yield* requireActive(upload)
        const digests = values["digest-list"]
        const offsets = values["offset-list"]
        if (digests.length !== offsets.length) {
          return yield* badRequest(`offset list has wrong length (${offsets.length} != ${digests.length})`)
        }
        const writer = yield* openWriter(upload, kind, values.wid, "append chunk")
        if (upload.writers.isFull) return yield* badRequest("the indexes of this backup are too large")
        const problem = appendAll(upload, writer, digests, offsets)
        return problem === undefined ? Answer.nothing : yield* badRequest(problem)
      })
  )

const closingRules = (least: number) => ({
  wid: Parameters.integer(1, 256),
  "chunk-count": Parameters.integer(least),
  size: Parameters.integer(least),
  csum: Parameters.digest
})

export const close = (upload: Upload, kind: Kind): Route =>
  route(closingRules(kind === "dynamic" ? 1 : 0), (values) =>
    Effect.gen(function* () {
      yield* requireActive(upload)
      const writer = yield* openWriter(upload, kind, values.wid, "close")
      const entropy = yield* Entropy
      const ctime = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const closing = { chunkCount: values["chunk-count"], sizeBytes: values.size, csum: values.csum }
      const encoded = writer.finish(closing, { uuid: entropy(uuidSizeBytes), ctime })
      if (typeof encoded === "string") {
        // Its entries are the wrong ones: nothing that comes later makes them right.
        if (encoded === "got unexpected checksum") writer.isClosed = true
        return yield* badRequest(`${prefixOf(writer)} close failed - ${encoded}`)
      }
      writer.isClosed = true
      const { file } = writer.archive
      const { datastore, namespace, snapshot } = upload.session
      yield* told(datastore.snapshotFiles.write(namespace, snapshot, file, encoded.bytes))
      upload.files.set(file, { sizeBytes: encoded.sizeBytes, csum: encoded.checksum })
      return Answer.nothing
    })
  )
