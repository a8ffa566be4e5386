/** Directory trees that tests make, and the reading of them to the end. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { constants, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { SourceError } from "../../../src/backup/ByteSource.ts"
import {
  type DirectorySource,
  type DirectorySourceOptions,
  openDirectory,
  type SourceStatistics
} from "../../../src/backup/DirectorySource.ts"
import type { Event } from "../../../src/format/pxar/Decoder.ts"
import * as Posix from "../../../src/platform/Posix.ts"
import { contentAt, decodeAll } from "../../format/pxar/goldens.ts"

export const isRoot = process.getuid?.() === 0

/** A folder of its own for one test. */
export const withFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "granary-source-"))),
    use,
    // Not by path, because of trees that are deeper than paths may be long.
    (folder) => Effect.sync(() => void spawnSync("rm", ["-rf", folder]))
  )

/** Writes files, and the directories that they are in. */
export const write = (root: string, files: Record<string, string>): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true })
    writeFileSync(join(root, path), content)
  }
}

export const countDescriptors = (): number => readdirSync("/proc/self/fd").length

export const withDescriptor = <A>(path: string, use: (fd: number) => A): A => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

export const setTimes = (path: string, seconds: number, nanos: number): void =>
  Posix.setTimesAt(Posix.AT_FDCWD, Buffer.from(path), seconds, nanos)

/** What a source delivered from its beginning to its end. */
export interface Delivered {
  /** The archive in version 1, the payload stream in version 2. */
  readonly stream: Uint8Array
  /** Version 2 only. */
  readonly archive: Uint8Array
  readonly suggestions: ReadonlyArray<number>
  readonly statistics: SourceStatistics
  readonly warnings: ReadonlyArray<string>
}

export const warningsOf = (source: DirectorySource): Array<string> =>
  source.warnings.map(({ message, path }) => `${Buffer.from(path).toString()}: ${message}`)

/** Reads a source to its end; `targetBytes` may change from one read to the next. */
export const deliver = Effect.fnUntraced(function* (
  source: DirectorySource,
  targetBytes: () => number = () => 256 * 1024
) {
  const pieces: Array<Uint8Array> = []
  const archive: Array<Uint8Array> = []
  const suggestions: Array<number> = []
  for (let count = -1; count !== 0;) {
    const target = new Uint8Array(targetBytes())
    count = yield* source.read(target)
    assert.isAtMost(count, target.length)
    pieces.push(target.slice(0, count))
    archive.push(source.takeArchiveBytes())
    suggestions.push(...source.takeSuggestions())
  }
  assert.strictEqual(yield* source.read(new Uint8Array(10)), 0, "the end stays the end")
  const delivered: Delivered = {
    stream: Buffer.concat(pieces),
    archive: Buffer.concat(archive),
    suggestions,
    statistics: source.statistics,
    warnings: warningsOf(source)
  }
  return delivered
})

export const backUp = (
  path: string,
  options: Partial<DirectorySourceOptions> = {},
  targetBytes?: () => number
): Effect.Effect<Delivered, SourceError> =>
  Effect.scoped(
    Effect.flatMap(openDirectory({ path, version: 1, excludes: [], ...options }), (source) =>
      deliver(source, targetBytes)
    )
  )

export interface Stored {
  readonly event: Extract<Event, { kind: "entry" }>
  /** Of a regular file. */
  readonly content: Uint8Array | undefined
}

/** Entries of an archive by their paths (as Latin-1, so that every name is a key of its own). */
export const entriesOf = (archive: Uint8Array, payload?: Uint8Array): Map<string, Stored> => {
  const events = decodeAll(archive)
  const entries = new Map<string, Stored>()
  const parents: Array<string> = []
  events.forEach((event, index) => {
    if (event.kind === "directory-end") parents.pop()
    if (event.kind !== "entry") return
    const path = [...parents, Buffer.from(event.name).toString("latin1")]
      .filter((name) => name !== "")
      .join("/")
    const content = event.entry.kind === "file" ? contentAt(events, index, payload) : undefined
    entries.set(path, { event, content })
    if (event.entry.kind === "directory") parents.push(Buffer.from(event.name).toString("latin1"))
  })
  return entries
}

export const textAt = (entries: Map<string, Stored>, path: string): string | undefined => {
  const content = entries.get(path)?.content
  return content && Buffer.from(content).toString("latin1")
}

/** Paths of all entries but the root. */
export const pathsOf = (entries: Map<string, Stored>): Array<string> =>
  [...entries.keys()].filter((path) => path !== "")
