/** InspectionText: what `inspect` found out, as text and as JSON. */
import type { Json } from "../format/CanonicalJson.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type * as Inspect from "../inspect/Inspect.ts"
import type { ArchiveEntry } from "../inspect/readArchive.ts"
import * as EntryText from "./EntryText.ts"
import * as Format from "./Format.ts"
import { localTime } from "./LocalTime.ts"
import * as PathText from "./PathText.ts"

export interface ShowOptions {
  /** List the chunks of an index. */
  readonly withChunks: boolean
}

interface Shown {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
}

type Line = readonly [label: string, value: string]

const labelWidth = 14

const linesOf = (lines: ReadonlyArray<Line>): string =>
  lines.map(([label, value]) => `${label.padEnd(labelWidth)}${value}`).join("\n")

const sizeText = (sizeBytes: number): string =>
  sizeBytes < 1024 ? `${sizeBytes} B` : `${Format.bytes(sizeBytes)} (${Format.count(sizeBytes)} bytes)`

const problemLines = (problem: string | undefined): ReadonlyArray<Line> =>
  problem === undefined ? [] : [["problem", Format.name(problem)]]

const showBlob = (found: Inspect.BlobInspection): Shown => {
  const { dataSizeBytes, digest, encoding, fileSizeBytes, isCrcGood, manifest, problem } = found
  const manifestJson: Json = manifest?.raw ?? null
  return {
    json: {
      kind: found.kind,
      encoding,
      "file-size": fileSizeBytes,
      "data-size": dataSizeBytes ?? null,
      "crc-ok": isCrcGood,
      digest: digest ?? null,
      content: manifest === undefined ? null : "manifest",
      manifest: manifestJson,
      problem: problem ?? null
    },
    text: linesOf([
      ["kind", `data blob (${encoding})`],
      ["file size", sizeText(fileSizeBytes)],
      ["data size", dataSizeBytes === undefined ? "unknown" : sizeText(dataSizeBytes)],
      ["checksum", isCrcGood ? "good" : "WRONG"],
      ...(digest === undefined ? [] : [["digest", digest] as const]),
      ...problemLines(problem),
      ...(manifest === undefined ? [] : [["manifest", JSON.stringify(manifest.raw, null, 2)] as const])
    ])
  }
}

const chunksOf = (index: ChunkIndex): ReadonlyArray<{ start: number; end: number; digest: string }> =>
  Array.from({ length: index.count }, (_, chunk) => ({
    start: index.start(chunk),
    end: index.end(chunk),
    digest: index.digest(chunk)
  }))

const uuidText = (uuid: Uint8Array): string =>
  Buffer.from(uuid)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")

/** Start, end and digest of chunks, aligned. */
export const chunkTable = (
  chunks: ReadonlyArray<{ readonly start: number; readonly end: number; readonly digest: string }>
): string =>
  chunks
    .map(({ start, end, digest }) => `${String(start).padStart(15)} ${String(end).padStart(15)}  ${digest}\n`)
    .join("")

const showIndex = (found: Inspect.IndexInspection, { withChunks }: ShowOptions): Shown => {
  const { chunkSizeBytes, fileSizeBytes, index, isChecksumGood, kind } = found
  const uuid = uuidText(index.uuid)
  const chunks = withChunks ? chunksOf(index) : undefined
  const lines = linesOf([
    ["kind", kind === "fixed-index" ? "fixed index (image)" : "dynamic index (archive)"],
    ["uuid", uuid],
    ["created", localTime(index.ctime)],
    ["archive size", sizeText(index.sizeBytes)],
    ["chunks", Format.count(index.count)],
    ...(chunkSizeBytes === undefined ? [] : [["chunk size", Format.bytes(chunkSizeBytes)] as const]),
    ["checksum", `${index.checksum} ${isChecksumGood ? "(good)" : "(WRONG)"}`]
  ])
  return {
    json: {
      kind,
      "file-size": fileSizeBytes,
      uuid,
      ctime: index.ctime,
      size: index.sizeBytes,
      count: index.count,
      "chunk-size": chunkSizeBytes ?? null,
      csum: index.checksum,
      "csum-ok": isChecksumGood,
      ...(chunks === undefined ? {} : { chunks })
    },
    text: chunks === undefined ? lines : `${lines}\n\n${chunkTable(chunks)}`
  }
}

const showCatalog = ({ archives, fileSizeBytes, kind, problem }: Inspect.CatalogInspection): Shown => ({
  json: {
    kind,
    "file-size": fileSizeBytes,
    archives: archives.map(({ name, entryCount }) => ({
      ...PathText.toJson("name", name),
      count: entryCount
    })),
    problem: problem ?? null
  },
  text: linesOf([
    ["kind", "catalog"],
    ["file size", sizeText(fileSizeBytes)],
    ...archives.map(
      ({ name, entryCount }) =>
        ["archive", `${Format.name(name)}: ${Format.count(entryCount)} entries`] as const
    ),
    ...problemLines(problem)
  ])
})

const entryOf = (node: ArchiveEntry): EntryText.ShownEntry => ({
  node,
  entry: node.entry.kind === "hardlink" ? undefined : node.entry
})

const showArchive = (found: Inspect.ArchiveInspection): Shown => {
  const { entries, fileSizeBytes, kind, prelude, problem, version } = found
  const shown = entries.map(entryOf)
  const lines = linesOf([
    ["kind", version === 1 ? "pxar archive, version 1" : "pxar archive, version 2 (contents apart)"],
    ["file size", sizeText(fileSizeBytes)],
    ...(prelude === undefined ? [] : [["prelude", Format.name(prelude)] as const]),
    ["entries", Format.count(entries.length)],
    ...problemLines(problem)
  ])
  return {
    json: {
      kind,
      "file-size": fileSizeBytes,
      version,
      ...(prelude === undefined ? { prelude: null } : PathText.toJson("prelude", prelude)),
      entries: shown.map(EntryText.toJson),
      problem: problem ?? null
    },
    text: `${lines}\n\n${EntryText.aligner()(shown.map((entry) => EntryText.columns(entry, true)))}`
  }
}

const showPayload = ({ fileSizeBytes, kind }: Inspect.PayloadInspection): Shown => ({
  json: { kind, "file-size": fileSizeBytes },
  text: linesOf([
    ["kind", "contents of a split pxar archive (the entries are in its .mpxar part)"],
    ["file size", sizeText(fileSizeBytes)]
  ])
})

const showKey = ({ keyFile, kind }: Inspect.KeyInspection): Shown => ({
  json: {
    kind,
    fingerprint: keyFile.fingerprint ?? null,
    kdf: keyFile.kdf.kind,
    created: keyFile.created,
    modified: keyFile.modified,
    hint: keyFile.hint ?? null
  },
  text: linesOf([
    ["kind", "key file"],
    ["fingerprint", Format.name(keyFile.fingerprint ?? "not recorded")],
    ["protection", keyFile.kdf.kind],
    ["created", localTime(keyFile.created)],
    ["modified", localTime(keyFile.modified)],
    ...(keyFile.hint === undefined ? [] : [["hint", Format.name(keyFile.hint)] as const])
  ])
})

export const show = (found: Inspect.Inspection, options: ShowOptions): Shown => {
  switch (found.kind) {
    case "blob":
      return showBlob(found)
    case "fixed-index":
    case "dynamic-index":
      return showIndex(found, options)
    case "catalog":
      return showCatalog(found)
    case "pxar":
      return showArchive(found)
    case "pxar-payload":
      return showPayload(found)
    case "key-file":
      return showKey(found)
  }
}
