/**
 * Small parts of the tree: what decodes fast decodes alike, what is held is closed in time, what is kept stays in
 * bounds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Accessor from "../../src/format/pxar/Accessor.ts"
import { FormatError } from "../../src/format/FormatError.ts"
import type { ChildExtent } from "../../src/format/pxar/GoodbyeTable.ts"
import { attributesOf } from "../../src/vfs/archive/attributesOf.ts"
import { decodeChild, planRuns } from "../../src/vfs/archive/NamedEntries.ts"
import { PackedEntries } from "../../src/vfs/archive/PackedEntries.ts"
import { PlainEntries } from "../../src/vfs/archive/PlainEntries.ts"
import * as Holdings from "../../src/vfs/tree/Holdings.ts"
import { directoryBase, leafBase, placeOf } from "../../src/vfs/tree/inodes.ts"
import { WeightedCache } from "../../src/vfs/tree/WeightedCache.ts"
import type { Entry } from "../../src/vfs/Vfs.ts"
import { type Entries, encodeArchive } from "../restore/browseMemory.ts"
import { memoryContent } from "./memoryArchive.ts"

const owners = { uid: undefined, gid: 7 }

const sample: Entries = {
  a: { kind: "file", content: "abc", uid: 3, mtimeSeconds: -77, mtimeNanos: 999_999_999 },
  b: { kind: "directory", entries: { x: { kind: "file", content: "" } }, mtimeSeconds: 2 ** 40 },
  "c with a longer name": { kind: "symlink", target: "some/where" },
  d: { kind: "fifo" },
  e: { kind: "file", content: "y", xattrs: [{ name: Buffer.from("user.x"), value: Buffer.from("1") }] },
  f: { kind: "hardlink", to: "a" },
  g: { kind: "directory", entries: {} }
}

const extentsOf = (archive: Uint8Array): ReadonlyArray<ChildExtent> =>
  Effect.runSync(
    Effect.gen(function* () {
      const opened = yield* Accessor.openArchive<never>(memoryContent(archive) as never)
      return (yield* Accessor.openDirectory(opened, opened.root)).table.children
    })
  )

describe("plain entries", () => {
  for (const version of [1, 2] as const) {
    const { archive } = encodeArchive(sample, version)
    const extents = extentsOf(archive)

    /** What the careful decoders make of it; undefined for what they refuse. */
    const careful = (bytes: Uint8Array, extent: ChildExtent): Entry | undefined => {
      try {
        const piece = bytes.subarray(extent.fileOffset, extent.endOffset)
        const named = decodeChild(version, piece, extent)
        if (typeof named === "number" || named.entry.kind === "hardlink") return undefined
        const base = named.entry.kind === "directory" ? directoryBase(9) : leafBase(9)
        const position = named.entry.kind === "directory" ? extent.endOffset : extent.fileOffset
        return { name: named.name, attributes: attributesOf(named.entry, base + BigInt(position), 1, owners) }
      } catch (error) {
        if (error instanceof FormatError) return undefined
        throw error
      }
    }

    const fast = (bytes: Uint8Array, extent: ChildExtent) => {
      const directories: Array<readonly [number, number]> = []
      const onDirectory = (end: number, entryStart: number) => void directories.push([end, entryStart])
      const packed = new PackedEntries(9, 1)
      const plain = new PlainEntries({ packed, version, owners, onDirectory })
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const isPlain = plain.decode(bytes, view, extent.fileOffset, extent, 0)
      return { entry: isPlain ? packed.entry(0) : undefined, directories }
    }

    it(`are decoded as the careful decoders do, version ${version}`, () => {
      const decoded = extents.map((extent) => fast(archive, extent).entry)
      const names = decoded.map((entry) => (entry === undefined ? "" : Buffer.from(entry.name).toString()))
      assert.deepStrictEqual(names, ["a", "b", "c with a longer name", "", "", "", "g"])
      for (const [index, entry] of decoded.entries()) {
        if (entry !== undefined) assert.deepStrictEqual(entry, careful(archive, extents[index]!))
      }
      assert.deepStrictEqual(fast(archive, extents[1]!).directories, [
        [extents[1]!.endOffset, extents[1]!.fileOffset + 18]
      ])
    })

    it(`are never decoded where the careful decoders refuse, version ${version}`, () => {
      const first = extents[0]!.fileOffset
      const edit = fc.tuple(
        fc.integer({ min: first, max: archive.length - 1 }),
        fc.oneof(fc.constantFrom(0, 1, 255, 0x2f, 0x2e), fc.nat(255))
      )
      const cut = fc.nat(archive.length)
      let decoded = 0
      fc.assert(
        fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), fc.option(cut), (edits, end) => {
          const bytes = archive.slice(0, end ?? archive.length)
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value
          for (const extent of extents) {
            const { entry } = fast(bytes, extent)
            if (entry === undefined) continue
            decoded++
            assert.deepStrictEqual(entry, careful(bytes, extent))
          }
        }),
        { numRuns: 3000 }
      )
      assert.isAbove(decoded, 1000)
    })
  }
})

describe("runs", () => {
  it("cover the head of every child once, in order, and no content to speak of", () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 43, max: 3000 }), fc.integer({ min: 43, max: 5_000_000 })),
      { maxLength: 60 }
    )
    fc.assert(
      fc.property(sizes, (all) => {
        let offset = 100
        const extents = all.map((sizeBytes) => {
          const extent = { fileOffset: offset, endOffset: offset + sizeBytes, sizeBytes }
          offset += sizeBytes
          return extent
        })
        const runs = planRuns(extents)
        const seen = runs.flatMap(({ endChild, endOffset, firstChild, offset: start }) => {
          assert.isAtMost(endOffset - start, 1024 * 1024)
          return extents.slice(firstChild, endChild).map((extent) => {
            assert.isTrue(
              extent.fileOffset >= start && Math.min(extent.endOffset, extent.fileOffset + 2048) <= endOffset
            )
            return extent
          })
        })
        assert.deepStrictEqual(seen, extents)
        const readBytes = runs.reduce((sum, run) => sum + run.endOffset - run.offset, 0)
        assert.isAtMost(readBytes, all.length * (2048 + 32 * 1024))
      })
    )
  })
})

describe("inodes", () => {
  it("say what they stand for", () => {
    const position = fc.integer({ min: 1, max: 2 ** 45 - 1 })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 18 - 1 }),
        position,
        fc.boolean(),
        (slot, at, isDirectory) => {
          const inode = (isDirectory ? directoryBase(slot) : leafBase(slot)) + BigInt(at)
          assert.isTrue(inode > 0n && inode < 2n ** 64n)
          assert.deepStrictEqual(placeOf(inode), { slot, isDirectory, position: at })
        }
      )
    )
  })
})

describe("holdings", () => {
  const scene = (openMax: number, wait: Effect.Effect<void> = Effect.void) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const holdings = yield* Holdings.make({
        keyOf: (wanted: string) => wanted,
        open: (wanted) =>
          Effect.acquireRelease(
            Effect.andThen(
              wait,
              wanted === "bad"
                ? Effect.fail("no")
                : Effect.sync(() => void log.push(`+${wanted}`)).pipe(Effect.as(wanted))
            ),
            () => Effect.sync(() => void log.push(`-${wanted}`))
          ),
        idleSeconds: 60,
        openMax
      })
      const touch = (wanted: string) => holdings.use(wanted, (thing) => Effect.succeed(thing))
      const taken = () => log.splice(0).join(" ")
      return { holdings, touch, taken }
    })

  it.effect("are closed when nobody has used them for a while", () =>
    Effect.gen(function* () {
      const { holdings, taken, touch } = yield* scene(10)
      yield* touch("a")
      yield* touch("a")
      assert.strictEqual(taken(), "+a")
      const gate = yield* Deferred.make<void>()
      const user = yield* Effect.forkChild(holdings.use("b", () => Deferred.await(gate)))
      yield* TestClock.adjust("50 seconds")
      yield* touch("a")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(taken(), "+b")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(taken(), "-a")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(user)
      yield* TestClock.adjust("80 seconds")
      assert.strictEqual(taken(), "-b")
    })
  )

  it.effect("make room for others, the one used longest ago first, none that is in use", () =>
    Effect.gen(function* () {
      const { holdings, taken, touch } = yield* scene(2)
      for (const wanted of ["a", "b", "a", "c"]) yield* touch(wanted)
      assert.strictEqual(taken(), "+a +b -b +c")
      yield* holdings.use("a", () => Effect.andThen(touch("d"), touch("e")))
      assert.strictEqual(taken(), "+d -c +e")
    })
  )

  it.effect("are opened once for all who come meanwhile, and again after a failure", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { taken, touch } = yield* scene(2, Deferred.await(gate))
      const first = yield* Effect.forkChild(touch("a"))
      const second = yield* Effect.forkChild(touch("a"))
      yield* Effect.yieldNow
      // Who asked first leaves; the other one still wants it.
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(second), "a")
      assert.strictEqual(taken(), "+a")
      assert.strictEqual(yield* Effect.flip(touch("bad")), "no")
      assert.strictEqual(yield* Effect.flip(touch("bad")), "no")
    })
  )
})

describe("a weighted cache", () => {
  it("keeps what was used last, within its weight or a few things", () => {
    const cache = new WeightedCache<string, number>(10, 2)
    cache.set("a", 1, 4)
    cache.set("b", 2, 4)
    assert.strictEqual(cache.get("a"), 1)
    cache.set("c", 3, 4)
    assert.deepStrictEqual(
      ["a", "b", "c"].map((key) => cache.get(key)),
      [1, undefined, 3]
    )
    cache.set("d", 4, 50)
    assert.deepStrictEqual(
      ["a", "c", "d"].map((key) => cache.get(key)),
      [undefined, 3, 4]
    )
    cache.delete("d")
    cache.set("e", 5, 6)
    assert.deepStrictEqual(
      ["c", "e"].map((key) => cache.get(key)),
      [3, 5]
    )
  })
})
