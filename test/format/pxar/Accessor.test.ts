import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { FormatError } from "../../../src/format/FormatError.ts"
import {
  type Archive,
  type RangeReader,
  type Child,
  contentRange,
  listChildren,
  lookup,
  openArchive,
  openDirectory,
  readEntry,
  resolveHardlink
} from "../../../src/format/pxar/Accessor.ts"
import type { FileEntry } from "../../../src/format/pxar/Entry.ts"
import { Encoder } from "../../../src/format/pxar/Encoder.ts"
import { makeFileMetadata } from "../../../src/model/FileMetadata.ts"
import {
  BIG_NAMES,
  bigFixturesExist,
  bytesOf,
  describeMetadata,
  type Golden,
  hex,
  loadGolden,
  SMALL_NAMES
} from "./goldens.ts"

interface CountingSource extends RangeReader {
  reads: number
}

const sourceOf = (bytes: Uint8Array): CountingSource => {
  const source: CountingSource = {
    sizeBytes: bytes.length,
    reads: 0,
    read: (offset, lengthBytes) =>
      Effect.sync(() => {
        source.reads++
        assert.isTrue(
          offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= bytes.length,
          "read in range"
        )
        return bytes.subarray(offset, offset + lengthBytes)
      })
  }
  return source
}

const openGolden = ({ archive, payload }: Golden) =>
  openArchive(sourceOf(archive), payload === undefined ? undefined : sourceOf(payload))

const readContent = Effect.fnUntraced(function* (archive: Archive, file: FileEntry) {
  const range = yield* contentRange(archive, file)
  const source = range.stream === "archive" ? archive.source : archive.payload
  if (source === undefined) throw new Error("no payload stream")
  return yield* source.read(range.offset, range.sizeBytes)
})

interface Found {
  readonly kind: string
  readonly metadata?: object
  readonly contentDigest?: string
}

/** Everything below a directory, by path in hex, found once by listing and once more by name. */
const walk = Effect.fnUntraced(function* (archive: Archive) {
  const found = new Map<string, Found>()
  const pending: Array<{ readonly path: string; readonly child: Child }> = [{ path: "", child: archive.root }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { child, path } = next
    const entry = yield* readEntry(archive, child)
    const metadata = entry.kind === "hardlink" ? {} : { metadata: describeMetadata(entry.metadata) }
    const file = entry.kind === "hardlink" ? (yield* resolveHardlink(archive, child, entry)).entry : entry
    const contentDigest =
      file.kind === "file"
        ? {
            contentDigest: createHash("sha256")
              .update(yield* readContent(archive, file))
              .digest("hex")
          }
        : {}
    found.set(path === "" ? "2f" : path, { kind: entry.kind, ...metadata, ...contentDigest })
    if (entry.kind !== "directory") continue
    const directory = yield* openDirectory(archive, child)
    for (const listed of yield* listChildren(archive, directory)) {
      assert.deepStrictEqual(yield* lookup(archive, directory, listed.name), listed)
      pending.push({ path: `${path}2f${hex(listed.name)}`, child: listed })
    }
    assert.isUndefined(yield* lookup(archive, directory, bytesOf("no such name")))
  }
  return found
})

const KINDS: ReadonlyArray<readonly [prefix: string, kinds: ReadonlyArray<string>]> = [
  ["Directory", ["directory"]],
  ["File", ["file"]],
  ["Symlink", ["symlink"]],
  ["Hardlink", ["hardlink"]],
  ["Device", ["device-block", "device-char"]],
  ["Fifo", ["fifo"]],
  ["Socket", ["socket"]]
]

const checkWalk = Effect.fnUntraced(function* (name: string) {
  const golden = loadGolden(name)
  const found = yield* walk(yield* openGolden(golden))
  const expected = (golden.lines ?? []).filter(({ kind }) =>
    KINDS.some(([prefix]) => kind.startsWith(prefix))
  )
  assert.deepStrictEqual([...found.keys()].toSorted(), expected.map(({ path_hex }) => path_hex).toSorted())
  for (const line of expected) {
    const entry = found.get(line.path_hex)
    const kinds = KINDS.find(([prefix]) => line.kind.startsWith(prefix))?.[1] ?? []
    assert.include(kinds, entry?.kind)
    const { acl, fcaps, flags, gid, mode, mtime, quota, uid, xattrs } = line
    if (entry?.metadata !== undefined) {
      assert.deepStrictEqual(entry.metadata, { acl, fcaps, flags, gid, mode, mtime, quota, uid, xattrs })
    }
    if (line.content_sha256 !== undefined) assert.strictEqual(entry?.contentDigest, line.content_sha256)
    if (entry?.kind === "hardlink") {
      const target = Buffer.from(
        line.kind
          .replace(/.*data: \[|\].*/g, "")
          .split(", ")
          .map(Number)
      )
      const targetLine = expected.find(({ path_hex }) => path_hex === `2f${hex(target.subarray(0, -1))}`)
      assert.strictEqual(entry.contentDigest, targetLine?.content_sha256)
    }
  }
})

const failsWithFormatError = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => assert.instanceOf(error, FormatError))

describe("Accessor", () => {
  it.effect.each(SMALL_NAMES.filter((name) => name !== "tiny-mix-noxattr.v1"))(
    "finds everything in %s",
    checkWalk
  )

  it.effect("gives version and prelude", () =>
    Effect.gen(function* () {
      const split = yield* openGolden(loadGolden("tiny-mix-exclude-cli.v2"))
      assert.strictEqual(split.version, 2)
      assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(split.prelude)), {
        "exclude-patterns": "d/f\n**/*.nothing\n"
      })
      const unified = yield* openGolden(loadGolden("tiny-mix.v1"))
      assert.strictEqual(unified.version, 1)
      assert.isUndefined(unified.prelude)
    })
  )

  it.effect("reads big tables, long preludes and many attributes, in few reads", () =>
    Effect.gen(function* () {
      const xattrs = Array.from({ length: 40 }, (_, index) => ({
        name: bytesOf(`user.${index}`),
        value: new Uint8Array(1000).fill(index)
      }))
      const prelude = new Uint8Array(100_000).fill(7)
      const encoder = Encoder.startArchive(makeFileMetadata({ mode: 0o40755, xattrs }), {
        version: 2,
        prelude
      })
      const names = Array.from({ length: 2000 }, (_, index) =>
        bytesOf(`file ${String(index).padStart(5, "0")}`)
      )
      for (const name of names) {
        encoder.startFile(name, makeFileMetadata({ mode: 0o100600 }), name.length)
        encoder.writePayload(name)
      }
      encoder.finishArchive()
      const source = sourceOf(encoder.takeArchiveBytes())
      const archive = yield* openArchive(source, sourceOf(encoder.takePayloadBytes()))
      assert.strictEqual(archive.prelude?.length, prelude.length)
      const root = yield* openDirectory(archive, archive.root)
      assert.deepStrictEqual(root.entry.metadata.xattrs, xattrs)
      const before = source.reads
      const children = yield* listChildren(archive, root)
      assert.isBelow(source.reads - before, 30)
      assert.deepStrictEqual(
        children.map(({ name }) => hex(name)),
        names.map(hex)
      )
      const child = yield* lookup(archive, root, bytesOf("file 01234"))
      const entry = child && (yield* readEntry(archive, child))
      if (entry?.kind !== "file") throw new Error("not found")
      assert.strictEqual(new TextDecoder().decode(yield* readContent(archive, entry)), "file 01234")
    })
  )

  it.effect("refuses a payload header of another size, and a payload outside its stream", () =>
    Effect.gen(function* () {
      const { archive: bytes, payload = new Uint8Array(0) } = loadGolden("tiny-one.v2")
      const changed = payload.slice()
      changed[24] = 99
      for (const stream of [changed, payload.subarray(0, 30)]) {
        const archive = yield* openArchive(sourceOf(bytes), sourceOf(stream))
        const root = yield* openDirectory(archive, archive.root)
        const [child] = yield* listChildren(archive, root)
        const entry = child && (yield* readEntry(archive, child))
        if (entry?.kind !== "file") throw new Error("no file")
        yield* failsWithFormatError(contentRange(archive, entry))
      }
    })
  )

  it.effect("refuses hard links to anything but an earlier file", () =>
    Effect.gen(function* () {
      const encoder = Encoder.startArchive(makeFileMetadata({ mode: 0o40755 }), { version: 1 })
      const fifo = encoder.addFifo(bytesOf("a"), makeFileMetadata({ mode: 0o10600 }))
      const link = encoder.addHardlink(bytesOf("b"), bytesOf("a"), fifo)
      encoder.addHardlink(bytesOf("c"), bytesOf("b"), link)
      encoder.addHardlink(bytesOf("d"), bytesOf("b"), fifo + 5)
      encoder.addHardlink(bytesOf("e"), bytesOf("b"), 3)
      encoder.finishArchive()
      const archive = yield* openArchive(sourceOf(encoder.takeArchiveBytes()))
      const root = yield* openDirectory(archive, archive.root)
      for (const child of (yield* listChildren(archive, root)).slice(1)) {
        const entry = yield* readEntry(archive, child)
        if (entry.kind !== "hardlink") throw new Error("not a hard link")
        yield* failsWithFormatError(resolveHardlink(archive, child, entry))
      }
    })
  )

  it.effect("refuses to open a file as a directory, even one whose content ends like a directory", () =>
    Effect.gen(function* () {
      const content = loadGolden("tiny-one.v1").archive
      const encoder = Encoder.startArchive(makeFileMetadata({ mode: 0o40755 }), { version: 1 })
      encoder.startFile(bytesOf("f"), makeFileMetadata({ mode: 0o100600 }), content.length)
      encoder.writePayload(content)
      encoder.finishArchive()
      const archive = yield* openArchive(sourceOf(encoder.takeArchiveBytes()))
      const root = yield* openDirectory(archive, archive.root)
      const child = yield* lookup(archive, root, bytesOf("f"))
      if (child === undefined) throw new Error("not found")
      yield* failsWithFormatError(openDirectory(archive, child))
    })
  )

  it.effect("refuses sources that give less than was asked for", () =>
    Effect.gen(function* () {
      const { archive } = loadGolden("tiny-one.v1")
      const short: RangeReader = {
        sizeBytes: archive.length,
        read: (offset, lengthBytes) => Effect.succeed(archive.subarray(offset, offset + lengthBytes - 1))
      }
      yield* failsWithFormatError(openArchive(short))
      yield* failsWithFormatError(openArchive(sourceOf(new Uint8Array(0))))
    })
  )
})

describe.skipIf(!bigFixturesExist)("Accessor over the big tree", () => {
  it.effect.each(BIG_NAMES)("finds everything in %s", checkWalk)
})
