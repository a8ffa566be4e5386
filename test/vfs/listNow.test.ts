/**
 * Directories that are listed at once, without an effect, are listed as in any other way; what is out of the ordinary
 * is left to the other way.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as fc from "fast-check"
import type { PxarArchive } from "../../src/vfs/archive/PxarArchive.ts"
import { placeOf } from "../../src/vfs/tree/inodes.ts"
import type { Inode, Listing } from "../../src/vfs/Vfs.ts"
import { type EncodedArchive, encodeArchive, type Entries } from "../restore/browseMemory.ts"
import { open } from "./memoryArchive.ts"

const xattr = { name: Buffer.from("user.x"), value: Buffer.from("1") }

const sample: Entries = {
  a: { kind: "file", content: "some content" },
  d: {
    kind: "directory",
    entries: {
      e: { kind: "directory", entries: {} },
      f: { kind: "file", content: "more", uid: 7, mtimeSeconds: -5, mtimeNanos: 3 },
      g: { kind: "file", content: "attributed", xattrs: [xattr] },
      p: { kind: "fifo" },
      s: { kind: "symlink", target: "f" }
    }
  },
  l: { kind: "directory", entries: { h: { kind: "hardlink", to: "d/f" } } },
  w: { kind: "directory", entries: { s: { kind: "symlink", target: "x" } } }
}

const told = ({ entries, validSeconds }: Listing) => ({ entries, validSeconds })

/** Lists all directories, those at once that can be; answers which these were. */
const walk = (archive: PxarArchive) =>
  Effect.gen(function* () {
    const atOnce: Array<string> = []
    const listings: Array<ReturnType<typeof told> & { readonly parent: Inode | undefined }> = []
    const pending = [{ path: "/", end: archive.rootEnd }]
    for (const { end, path } of pending) {
      const now = archive.listNow(end)
      if (now !== undefined) atOnce.push(path)
      const listing = now?.listing ?? (yield* archive.list(end))
      const parent = now === undefined ? yield* archive.parent(end) : now.parent
      listings.push({ ...told(listing), parent })
      if (listings.length > 100) return yield* Effect.die(new Error("the walk does not end"))
      for (const { attributes, name } of listing.entries) {
        if (attributes.kind !== "directory") continue
        const below = `${path}${Buffer.from(name).toString("latin1")}/`
        pending.push({ path: below, end: placeOf(attributes.inode).position })
      }
    }
    return { atOnce, listings }
  })

/** The same archive that can do nothing at once. */
const slow = (archive: PxarArchive): PxarArchive => ({ ...archive, listNow: () => undefined })

const bothWays = (encoded: EncodedArchive) =>
  Effect.gen(function* () {
    const quick = yield* Effect.exit(Effect.flatMap(open(encoded), walk))
    const thorough = yield* Effect.exit(Effect.flatMap(open(encoded), (archive) => walk(slow(archive))))
    return { quick, thorough }
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

describe("a directory that is listed at once", () => {
  for (const version of [1, 2] as const) {
    it.effect(`is as it is, version ${version}`, () =>
      Effect.gen(function* () {
        const { quick, thorough } = yield* bothWays(encodeArchive(sample, version))
        if (Exit.isFailure(quick) || Exit.isFailure(thorough)) return assert.fail("it was not listed")
        assert.deepStrictEqual(quick.value.listings, thorough.value.listings)
        // Names are counted before the first file is shown, and where links lead is looked up.
        assert.deepStrictEqual(quick.value.atOnce, ["/d/", "/w/", "/d/e/"])
        assert.deepStrictEqual(thorough.value.atOnce, [])
      })
    )
  }

  it.effect("is as it is when it holds more than one read takes", () =>
    Effect.gen(function* () {
      const files = Array.from({ length: 300 }, (_, at) => [`file ${at}`, { kind: "file", content: `${at}` }])
      const many: Entries = {
        a: { kind: "file", content: "" },
        d: { kind: "directory", entries: Object.fromEntries(files) }
      }
      const { quick, thorough } = yield* bothWays(encodeArchive(many, 2))
      if (Exit.isFailure(quick) || Exit.isFailure(thorough)) return assert.fail("it was not listed")
      assert.deepStrictEqual(quick.value.listings, thorough.value.listings)
    })
  )

  it.effect("is refused like any other when it is crafted", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.constantFrom(1 as const, 2 as const),
          fc.double({ min: 0, max: 0.999, noNaN: true }),
          fc.integer({ min: 1, max: 255 }),
          async (version, place, change) => {
            const { archive, payload } = encodeArchive(sample, version)
            const crafted = Uint8Array.from(archive)
            const at = Math.floor(place * crafted.length)
            crafted[at] = (crafted[at] ?? 0) ^ change
            const { quick, thorough } = await Effect.runPromise(bothWays({ archive: crafted, payload }))
            assert.strictEqual(quick._tag, thorough._tag)
            if (Exit.isSuccess(quick) && Exit.isSuccess(thorough)) {
              assert.deepStrictEqual(quick.value.listings, thorough.value.listings)
            }
          }
        ),
        { numRuns: 300 }
      )
    )
  )
})
