/**
 * EntryText: an entry of an archive as `ls` and `find` show it: a line like that of `ls -l`, or a JSON object.
 *
 * A hard link shows the metadata of the file that it is another name of.
 */
import * as Effect from "effect/Effect"
import type { Entry } from "../format/pxar/Entry.ts"
import { type FileKind, type FileMetadata, kindLetters } from "../model/FileMetadata.ts"
import type { ArchiveTree, ResolvedEntry, TreeNode } from "../restore/ArchiveTree.ts"
import { joinNames, type Named } from "../restore/browse/TreeNode.ts"
import * as Format from "./Format.ts"
import { localTime } from "./LocalTime.ts"
import * as PathText from "./PathText.ts"

/** An entry with everything at hand that is shown of it. */
export interface ShownEntry {
  readonly node: Named & { readonly entry: Entry }
  /** Hard links resolved; undefined when nobody looked where a link leads. */
  readonly entry: ResolvedEntry | undefined
}

export const shown = (tree: ArchiveTree, node: TreeNode) =>
  Effect.map(tree.resolve(node), (entry): ShownEntry => ({ node, entry }))

const targetOf = ({ node: { entry } }: ShownEntry): Uint8Array | undefined => {
  if (entry.kind === "symlink") return entry.target
  return entry.kind === "hardlink" ? PathText.fromRoot(entry.targetPath) : undefined
}

export const toJson = (shownEntry: ShownEntry): Readonly<Record<string, unknown>> => {
  const { node, entry } = shownEntry
  const metadata = entry?.metadata
  const target = targetOf(shownEntry)
  return {
    ...PathText.toJson("path", PathText.fromRoot(joinNames(node))),
    type: kindLetters[node.entry.kind],
    mode: metadata?.mode ?? null,
    uid: metadata?.uid ?? null,
    gid: metadata?.gid ?? null,
    size: entry?.kind === "file" ? entry.content.sizeBytes : null,
    mtime: metadata?.mtimeSeconds ?? null,
    "mtime-nanos": metadata?.mtimeNanos ?? null,
    ...(target === undefined ? { target: null } : PathText.toJson("target", target)),
    ...(entry !== undefined && "device" in entry ? { device: entry.device } : {})
  }
}

/** `rwx` with the special bit in place of the `x`. */
const triplet = (mode: number, shift: number, special: number, letter: string): string => {
  const bits = mode >> shift
  const isExecutable = (bits & 1) !== 0
  const last =
    (mode & special) === 0 ? (isExecutable ? "x" : "-") : isExecutable ? letter : letter.toUpperCase()
  return `${(bits & 4) === 0 ? "-" : "r"}${(bits & 2) === 0 ? "-" : "w"}${last}`
}

const hasMore = ({ acl, fcaps, xattrs }: FileMetadata): boolean =>
  acl !== undefined || fcaps !== undefined || xattrs.length > 0

/** As in `ls -l`: a `+` says that there are attributes or access lists beyond the mode. */
export const modeText = (kind: FileKind, metadata: FileMetadata): string => {
  const { mode } = metadata
  const owner = triplet(mode, 6, 0o4000, "s")
  const group = triplet(mode, 3, 0o2000, "s")
  const others = triplet(mode, 0, 0o1000, "t")
  const letter = kind === "file" || kind === "hardlink" ? "-" : kindLetters[kind]
  return `${letter}${owner}${group}${others}${hasMore(metadata) ? "+" : ""}`
}

const sizeText = (entry: ResolvedEntry): string => {
  if (entry.kind === "file") return Format.bytes(entry.content.sizeBytes)
  return "device" in entry ? `${entry.device.major}:${entry.device.minor}` : "-"
}

const arrow = (shownEntry: ShownEntry): string => {
  const target = targetOf(shownEntry)
  if (target === undefined) return ""
  return `${shownEntry.node.entry.kind === "hardlink" ? " = " : " -> "}${Format.name(target)}`
}

/** The columns of a line; the name comes last and is the path where `withPath` asks for it. */
export const columns = (shownEntry: ShownEntry, withPath: boolean): ReadonlyArray<string> => {
  const { node, entry } = shownEntry
  const path = withPath || node.parent === undefined ? PathText.fromRoot(joinNames(node)) : node.name
  const name = `${Format.name(path)}${arrow(shownEntry)}`
  if (entry === undefined) return ["-", "-", "-", "-", "-", name]
  const { metadata } = entry
  return [
    modeText(node.entry.kind, metadata),
    String(metadata.uid),
    String(metadata.gid),
    sizeText(entry),
    localTime(metadata.mtimeSeconds),
    name
  ]
}

/** Which of the columns stand to the right. */
const isRightAligned = [false, true, true, true, false, false]

/** Aligns lines that come in batches; columns only ever get wider. */
export const aligner = (): ((rows: ReadonlyArray<ReadonlyArray<string>>) => string) => {
  const widths = isRightAligned.map(() => 0)
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    if (column === widths.length - 1) return cell
    return isRightAligned[column] === true ? cell.padStart(width) : cell.padEnd(width)
  }
  return (rows) => {
    for (const row of rows) {
      row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
    }
    return rows.map((row) => `${row.map(pad).join("  ")}\n`).join("")
  }
}
