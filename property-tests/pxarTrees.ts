/** Random directory trees for archives, and the way there and back through encoder, decoder and accessor. */
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import {
  type Archive,
  type RangeReader,
  type Child,
  contentRange,
  listChildren,
  lookup,
  openDirectory,
  readEntry,
  resolveHardlink
} from "../src/format/pxar/Accessor.ts"
import type { Event } from "../src/format/pxar/Decoder.ts"
import { Encoder } from "../src/format/pxar/Encoder.ts"
import type { Entry } from "../src/format/pxar/Entry.ts"
import { type Device, type FileMetadata, MODE_TYPE } from "../src/model/FileMetadata.ts"

export type Node =
  | { readonly kind: "directory"; readonly metadata: FileMetadata; readonly children: ReadonlyArray<Named> }
  | { readonly kind: "file"; readonly metadata: FileMetadata; readonly content: Uint8Array }
  | { readonly kind: "symlink"; readonly metadata: FileMetadata; readonly target: Uint8Array }
  | {
      readonly kind: "device-block" | "device-char"
      readonly metadata: FileMetadata
      readonly device: Device
    }
  | { readonly kind: "fifo" | "socket"; readonly metadata: FileMetadata }
  /** Of the last file that was written before; left out when there is none. */
  | { readonly kind: "hardlink"; readonly targetPath: Uint8Array }

export interface Named {
  readonly name: Uint8Array
  readonly node: Node
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })

export const nameArbitrary = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .filter((name) => !name.includes(0) && !name.includes(0x2f) && !["2e", "2e2e"].includes(hex(name)))

const pathArbitrary = bytes(40).map((path) => path.map((byte) => byte || 1))

const permissions = fc.nat(7)
const aclEntries = fc.array(fc.record({ id: fc.nat(), permissions }), { maxLength: 3 })
const optionalPermissions = fc.option(permissions, { nil: undefined })

const aclArbitrary = fc
  .record({
    users: aclEntries,
    groups: aclEntries,
    groupObject: optionalPermissions,
    default: fc.option(
      fc.record({
        userObject: optionalPermissions,
        groupObject: optionalPermissions,
        other: optionalPermissions,
        mask: optionalPermissions
      }),
      { nil: undefined }
    ),
    defaultUsers: aclEntries,
    defaultGroups: aclEntries
  })
  // A list without anything in it is not written at all.
  .map((acl) =>
    Object.values(acl).some((part) => (Array.isArray(part) ? part.length > 0 : part)) ? acl : undefined
  )

const metadataArbitrary = (kind: keyof typeof MODE_TYPE): fc.Arbitrary<FileMetadata> =>
  fc.record({
    mode: fc.nat(0o7777).map((mode) => mode | MODE_TYPE[kind]),
    flags: fc.oneof(fc.constant(0), fc.maxSafeNat()),
    uid: fc.nat(),
    gid: fc.constantFrom(0, 1, 0xffff_ffff),
    mtimeSeconds: fc.oneof(fc.integer(), fc.maxSafeInteger()),
    mtimeNanos: fc.nat(999_999_999),
    xattrs: fc.array(fc.record({ name: nameArbitrary, value: bytes(20) }), { maxLength: 3 }),
    acl: fc.option(aclArbitrary, { nil: undefined }),
    fcaps: fc.option(bytes(24), { nil: undefined }),
    quotaProjectId: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined })
  })

const leaf = fc.oneof(
  fc.record({ kind: fc.constant("file" as const), metadata: metadataArbitrary("file"), content: bytes(100) }),
  fc.record({
    kind: fc.constant("symlink" as const),
    metadata: metadataArbitrary("symlink"),
    target: pathArbitrary
  }),
  fc.constantFrom("device-block" as const, "device-char" as const).chain((kind) =>
    fc.record({
      kind: fc.constant(kind),
      metadata: metadataArbitrary(kind),
      device: fc.record({ major: fc.nat(), minor: fc.maxSafeNat() })
    })
  ),
  fc
    .constantFrom("fifo" as const, "socket" as const)
    .chain((kind) => fc.record({ kind: fc.constant(kind), metadata: metadataArbitrary(kind) })),
  fc.record({ kind: fc.constant("hardlink" as const), targetPath: pathArbitrary })
)

export const treeArbitrary: fc.Arbitrary<Extract<Node, { kind: "directory" }>> = fc.letrec<{
  directory: Extract<Node, { kind: "directory" }>
  node: Node
}>((tie) => ({
  directory: fc.record({
    kind: fc.constant("directory" as const),
    metadata: metadataArbitrary("directory"),
    children: fc.uniqueArray(fc.record({ name: nameArbitrary, node: tie("node") }), {
      maxLength: 8,
      selector: ({ name }) => hex(name)
    })
  }),
  node: fc.oneof({ depthSize: "small" }, leaf, tie("directory"))
})).directory

export interface Streams {
  readonly archive: Uint8Array
  readonly payload: Uint8Array
}

/** Encodes a tree, draining the encoder whenever it holds more than `drainBytes`. */
export const encodeTree = (
  root: Extract<Node, { kind: "directory" }>,
  version: 1 | 2,
  drainBytes: number,
  prelude?: Uint8Array
): Streams => {
  const encoder = Encoder.startArchive(root.metadata, { version, prelude })
  const archive: Array<Uint8Array> = []
  const payload: Array<Uint8Array> = []
  let lastFileOffset: number | undefined
  const add = ({ name, node }: Named): void => {
    switch (node.kind) {
      case "directory":
        encoder.startDirectory(name, node.metadata)
        node.children.forEach(add)
        encoder.finishDirectory()
        break
      case "file":
        lastFileOffset = encoder.startFile(name, node.metadata, node.content.length)
        encoder.writePayload(node.content)
        break
      case "symlink":
        encoder.addSymlink(name, node.metadata, node.target)
        break
      case "device-block":
      case "device-char":
        encoder.addDevice(name, node.metadata, node.device)
        break
      case "fifo":
        encoder.addFifo(name, node.metadata)
        break
      case "socket":
        encoder.addSocket(name, node.metadata)
        break
      case "hardlink":
        if (lastFileOffset !== undefined) encoder.addHardlink(name, node.targetPath, lastFileOffset)
    }
    if (encoder.bufferedBytes > drainBytes) {
      archive.push(encoder.takeArchiveBytes())
      payload.push(encoder.takePayloadBytes())
    }
  }
  root.children.forEach(add)
  encoder.finishArchive()
  archive.push(encoder.takeArchiveBytes())
  payload.push(encoder.takePayloadBytes())
  return { archive: new Uint8Array(Buffer.concat(archive)), payload: new Uint8Array(Buffer.concat(payload)) }
}

const describeMetadata = ({ metadata }: { readonly metadata: FileMetadata }): ReadonlyArray<unknown> => [
  { ...metadata, xattrs: metadata.xattrs.map(({ name, value }) => `${hex(name)}=${hex(value)}`) },
  metadata.fcaps && hex(metadata.fcaps)
]

const describeEntry = (
  path: string,
  entry: Entry | Exclude<Node, { kind: "hardlink" }>,
  content: Uint8Array
): ReadonlyArray<unknown> => {
  if (entry.kind === "hardlink") throw new Error("hard links are described by their target")
  const line = [path, entry.kind, ...describeMetadata(entry)]
  if (entry.kind === "file") return [...line, hex(content)]
  if (entry.kind === "symlink") return [...line, hex(entry.target)]
  return entry.kind === "device-block" || entry.kind === "device-char" ? [...line, entry.device] : line
}

const NOTHING = new Uint8Array(0)

/** What is in a tree, one line an entry, in the order of the archive. */
export const describeTree = (root: Extract<Node, { kind: "directory" }>): Array<ReadonlyArray<unknown>> => {
  const lines: Array<ReadonlyArray<unknown>> = [describeEntry("", root, NOTHING)]
  let lastFile: string | undefined
  const visit = (parent: string, { name, node }: Named): void => {
    const path = `${parent}/${hex(name)}`
    if (node.kind === "hardlink") {
      if (lastFile !== undefined) lines.push([path, "hardlink", hex(node.targetPath), lastFile])
      return
    }
    lines.push(describeEntry(path, node, node.kind === "file" ? node.content : NOTHING))
    if (node.kind === "file") lastFile = hex(node.content)
    if (node.kind === "directory") for (const child of node.children) visit(path, child)
  }
  for (const child of root.children) visit("", child)
  return lines
}

/** The same from a decoder's events. */
export const describeEvents = (
  events: ReadonlyArray<Event>,
  payload: Uint8Array
): Array<ReadonlyArray<unknown>> => {
  const lines: Array<ReadonlyArray<unknown>> = []
  const path: Array<string> = []
  const contents = new Map<number, string>()
  events.forEach((event, index) => {
    if (event.kind === "directory-end") path.pop()
    if (event.kind !== "entry") return
    const { entry, fileOffset, name } = event
    const full = name.length === 0 ? "" : `${path.join("")}/${hex(name)}`
    if (entry.kind === "directory") path.push(name.length === 0 ? "" : `/${hex(name)}`)
    if (entry.kind === "hardlink") {
      lines.push([full, "hardlink", hex(entry.targetPath), contents.get(entry.targetFileOffset)])
      return
    }
    const content = entry.kind === "file" ? contentOf(events, index, entry.content, payload) : NOTHING
    contents.set(fileOffset, hex(content))
    lines.push(describeEntry(full, entry, content))
  })
  return lines
}

const contentOf = (
  events: ReadonlyArray<Event>,
  index: number,
  {
    offset,
    sizeBytes,
    stream
  }: { readonly stream: string; readonly offset: number; readonly sizeBytes: number },
  payload: Uint8Array
): Uint8Array => {
  if (stream === "payload") return payload.subarray(offset + 16, offset + 16 + sizeBytes)
  const pieces: Array<Uint8Array> = []
  for (const event of events.slice(index + 1)) {
    if (event.kind !== "payload") break
    pieces.push(event.bytes)
  }
  return new Uint8Array(Buffer.concat(pieces))
}

/** Counts what an accessor asks for. */
export interface Meter {
  entries: number
  readBytes: number
}

export const sourceOf = (stream: Uint8Array, meter: Meter): RangeReader => ({
  sizeBytes: stream.length,
  read: (offset, lengthBytes) =>
    Effect.sync(() => {
      if (!(offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= stream.length)) {
        throw new Error(`read of ${lengthBytes} bytes at ${offset} of ${stream.length}`)
      }
      meter.readBytes += lengthBytes
      return stream.subarray(offset, offset + lengthBytes)
    })
})

/** The same as `describeTree` through an accessor; every child is also looked up by its name. */
export const describeArchive = Effect.fnUntraced(function* (archive: Archive, meter: Meter) {
  const lines: Array<ReadonlyArray<unknown>> = []
  const pending: Array<{ readonly path: string; readonly child: Child }> = [{ path: "", child: archive.root }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { child, path } = next
    meter.entries++
    const entry = yield* readEntry(archive, child)
    const file = entry.kind === "hardlink" ? (yield* resolveHardlink(archive, child, entry)).entry : entry
    let content: Uint8Array = NOTHING
    if (file.kind === "file") {
      const range = yield* contentRange(archive, file)
      const source = range.stream === "archive" ? archive.source : archive.payload
      if (source !== undefined) content = yield* source.read(range.offset, range.sizeBytes)
    }
    if (entry.kind === "hardlink") lines.push([path, "hardlink", hex(entry.targetPath), hex(content)])
    else lines.push(describeEntry(path, entry, content))
    if (entry.kind !== "directory") continue
    const directory = yield* openDirectory(archive, child)
    const children = yield* listChildren(archive, directory)
    for (const listed of children) yield* lookup(archive, directory, listed.name)
    for (const listed of children.toReversed())
      pending.push({ path: `${path}/${hex(listed.name)}`, child: listed })
  }
  return lines
})
