/**
 * Archives made by the reference implementation, and helpers to look at archives as it does. The small ones
 * are in `test/golden/pxar`; the big tree is in a folder beside the repository that need not exist.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { zstdDecompressSync } from "node:zlib"
import type { AclEntry, FileMetadata } from "../../../src/model/FileMetadata.ts"
import { Decoder, type Event } from "../../../src/format/pxar/Decoder.ts"

const SMALL = new URL("../../golden/pxar/", import.meta.url)
const BIG = new URL("../../../../shared/fixtures/pxar/", import.meta.url)

export const bigFixturesExist = existsSync(BIG)

export interface Golden {
  readonly name: string
  readonly archive: Uint8Array
  readonly payload: Uint8Array | undefined
  /** One line a decoded entry, undefined when the reference's view was not recorded. */
  readonly lines: ReadonlyArray<ReferenceLine> | undefined
}

export interface ReferenceLine {
  readonly acl: string
  readonly content_sha256?: string
  readonly content_size?: number
  readonly fcaps: string | null
  readonly flags: string
  readonly uid: number
  readonly gid: number
  readonly kind: string
  readonly mode: string
  readonly mtime: readonly [number, number]
  readonly path_hex: string
  readonly quota: string
  readonly xattrs: ReadonlyArray<readonly [string, string]>
}

export const SMALL_NAMES = [
  "tiny-emptyroot.v1",
  "tiny-emptyroot.v2",
  "tiny-one.v1",
  "tiny-one.v2",
  "tiny-mix.v1",
  "tiny-mix.v2",
  "tiny-mix-exclude-cli.v1",
  "tiny-mix-exclude-cli.v2",
  "tiny-mix-noxattr.v1"
]

export const BIG_NAMES = ["tree.v1", "tree.v2"]

const readIfPresent = (url: URL): Uint8Array | undefined => {
  if (existsSync(url)) return new Uint8Array(readFileSync(url))
  const compressed = new URL(`${url.href}.zst`)
  return existsSync(compressed) ? new Uint8Array(zstdDecompressSync(readFileSync(compressed))) : undefined
}

export const loadGolden = (name: string): Golden => {
  const folder = SMALL_NAMES.includes(name) ? SMALL : BIG
  const isSplit = name.endsWith(".v2")
  const archive = readIfPresent(new URL(isSplit ? `${name}.mpxar` : `${name}.pxar`, folder))
  if (archive === undefined) throw new Error(`no golden archive ${name}`)
  const lines = readIfPresent(new URL(`${name}.entries.jsonl`, folder))
  return {
    name,
    archive,
    payload: isSplit ? readIfPresent(new URL(`${name}.ppxar`, folder)) : undefined,
    lines:
      lines &&
      new TextDecoder()
        .decode(lines)
        .trim()
        .split("\n")
        .map((line): ReferenceLine => JSON.parse(line))
  }
}

/** All events of an archive that arrives in blocks of the given size. */
export const decodeAll = (archive: Uint8Array, blockBytes = archive.length): Array<Event> => {
  const decoder = new Decoder()
  const events: Array<Event> = []
  for (let at = 0; at < archive.length; at += blockBytes) {
    decoder.push(archive.subarray(at, at + blockBytes))
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) events.push(event)
  }
  decoder.finish()
  return events
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const list = (label: string, id: string, entries: ReadonlyArray<AclEntry>): string =>
  entries
    .map((entry) => `${label} { ${id}: ${entry.id}, permissions: Permissions(${entry.permissions}) }`)
    .join(", ")

const optional = (permissions: number | undefined): string =>
  `Permissions(${permissions ?? 18446744073709551615n})`

/** An access control list as the reference implementation prints it. */
export const describeAcl = ({ acl }: Pick<FileMetadata, "acl">): string => {
  const groupObject =
    acl?.groupObject === undefined
      ? "None"
      : `Some(GroupObject { permissions: Permissions(${acl.groupObject}) })`
  const standard =
    acl?.default === undefined
      ? "None"
      : `Some(Default { user_obj_permissions: ${optional(acl.default.userObject)}, ` +
        `group_obj_permissions: ${optional(acl.default.groupObject)}, ` +
        `other_permissions: ${optional(acl.default.other)}, ` +
        `mask_permissions: ${optional(acl.default.mask)} })`
  return (
    `Acl { users: [${list("User", "uid", acl?.users ?? [])}], ` +
    `groups: [${list("Group", "gid", acl?.groups ?? [])}], ` +
    `group_obj: ${groupObject}, default: ${standard}, ` +
    `default_users: [${list("User", "uid", acl?.defaultUsers ?? [])}], ` +
    `default_groups: [${list("Group", "gid", acl?.defaultGroups ?? [])}] }`
  )
}

const NOTHING: ReferenceLine = {
  acl: describeAcl({ acl: undefined }),
  fcaps: null,
  flags: "0x0",
  uid: 0,
  gid: 0,
  kind: "",
  mode: "0",
  mtime: [0, 0],
  path_hex: "",
  quota: "None",
  xattrs: []
}

const withNul = (bytes: Uint8Array): string => [...bytes, 0].join(", ")

export const describeMetadata = (metadata: FileMetadata): Omit<ReferenceLine, "kind" | "path_hex"> => ({
  acl: describeAcl(metadata),
  fcaps: metadata.fcaps === undefined ? null : hex(metadata.fcaps),
  flags: `0x${metadata.flags.toString(16)}`,
  uid: metadata.uid,
  gid: metadata.gid,
  mode: metadata.mode.toString(8),
  mtime: [metadata.mtimeSeconds, metadata.mtimeNanos],
  quota: metadata.quotaProjectId === undefined ? "None" : `Some(${metadata.quotaProjectId})`,
  xattrs: metadata.xattrs.map(({ name, value }) => [new TextDecoder().decode(name), hex(value)])
})

const describeEntry = (
  event: Extract<Event, { kind: "entry" }>,
  path: string,
  content?: Uint8Array
): ReferenceLine => {
  const { entry, fileOffset } = event
  if (entry.kind === "hardlink") {
    const distance = fileOffset - entry.targetFileOffset
    const kind = `Hardlink(Hardlink { offset: ${distance}, data: [${withNul(entry.targetPath)}] })`
    return { ...NOTHING, kind, path_hex: path }
  }
  const line = { ...describeMetadata(entry.metadata), path_hex: path }
  switch (entry.kind) {
    case "directory":
      return { ...line, kind: "Directory" }
    case "symlink":
      return { ...line, kind: `Symlink(Symlink { data: [${withNul(entry.target)}] })` }
    case "device-block":
    case "device-char":
      return {
        ...line,
        kind: `Device(Device { major: ${entry.device.major}, minor: ${entry.device.minor} })`
      }
    case "fifo":
      return { ...line, kind: "Fifo" }
    case "socket":
      return { ...line, kind: "Socket" }
    case "file": {
      const { offset, sizeBytes, stream } = entry.content
      const payloadOffset = stream === "payload" ? `Some(${offset})` : "None"
      return {
        ...line,
        kind: `File { size: ${sizeBytes}, offset: None, payload_offset: ${payloadOffset} }`,
        content_size: content?.length ?? -1,
        content_sha256: createHash("sha256")
          .update(content ?? "")
          .digest("hex")
      }
    }
  }
}

/** The content of a file whose entry event is at `index`. */
export const contentAt = (events: ReadonlyArray<Event>, index: number, payload?: Uint8Array): Uint8Array => {
  const event = events[index]
  if (event?.kind !== "entry" || event.entry.kind !== "file") throw new Error("not a file")
  const { offset, sizeBytes, stream } = event.entry.content
  if (stream === "payload")
    return (payload ?? new Uint8Array(0)).subarray(offset + 16, offset + 16 + sizeBytes)
  const pieces: Array<Uint8Array> = []
  for (let at = index + 1; ; at++) {
    const piece = events[at]
    if (piece?.kind !== "payload") return new Uint8Array(Buffer.concat(pieces))
    pieces.push(piece.bytes)
  }
}

/** Events as the reference implementation's decoder would list them. */
export const describeEvents = (events: ReadonlyArray<Event>, payload?: Uint8Array): Array<ReferenceLine> => {
  const lines: Array<ReferenceLine> = []
  const path: Array<string> = []
  events.forEach((event, index) => {
    if (event.kind === "version")
      lines.push({ ...NOTHING, kind: `Version(Version${event.version})`, path_hex: "2f" })
    if (event.kind === "prelude") {
      lines.push({
        ...NOTHING,
        kind: `Prelude(Prelude { data: [${[...event.bytes].join(", ")}] })`,
        path_hex: "2f"
      })
    }
    if (event.kind === "entry") {
      const isRoot = event.name.length === 0
      const full = isRoot ? "2f" : `${path.join("")}2f${hex(event.name)}`
      const content = event.entry.kind === "file" ? contentAt(events, index, payload) : undefined
      lines.push(describeEntry(event, full, content))
      if (event.entry.kind === "directory") path.push(isRoot ? "" : `2f${hex(event.name)}`)
    }
    if (event.kind === "directory-end") {
      path.pop()
      lines.push({ ...NOTHING, kind: "GoodbyeTable" })
    }
  })
  return lines
}
