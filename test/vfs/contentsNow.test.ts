/**
 * Contents of files that were listed are read at once, and are the same as in any other way; a content that is not
 * where its entry says is never shown.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyOf } from "../../src/vfs/content/ContentReader.ts"
import type { PxarArchive } from "../../src/vfs/archive/PxarArchive.ts"
import { placeOf } from "../../src/vfs/tree/inodes.ts"
import type { Entry } from "../../src/vfs/Vfs.ts"
import { encodeArchive, type EncodedArchive, type Entries } from "../restore/browseMemory.ts"
import { open } from "./memoryArchive.ts"

const sample: Entries = {
  a: { kind: "file", content: "the first content" },
  b: { kind: "file", content: "another" },
  c: { kind: "symlink", target: "a" },
  e: { kind: "file", content: "" },
  z: { kind: "file", content: "the last one" }
}

const readNow = (archive: PxarArchive, { attributes }: Entry, offset = 0): string | undefined => {
  let text: string | undefined
  const use = (bytes: Uint8Array) => void (text = Buffer.from(bytes).toString())
  const isThere = archive.lendNow(placeOf(attributes.inode), offset, 1000, use)
  assert.strictEqual(isThere, text !== undefined)
  return text
}

/** Opened, and its stream of contents as well. */
const listed = (encoded: EncodedArchive) =>
  Effect.gen(function* () {
    const archive = yield* open(encoded)
    const { entries } = yield* archive.list(archive.rootEnd)
    const last = entries.at(-1)
    if (last !== undefined) yield* archive.lend(placeOf(last.attributes.inode), 0, 1, copyOf)
    return { archive, entries }
  })

describe("contents of listed files", () => {
  for (const version of [1, 2] as const) {
    it.effect(`of version ${version} are read at once`, () =>
      Effect.gen(function* () {
        const { archive, entries } = yield* listed(encodeArchive(sample, version))
        const texts = entries.map((entry) => readNow(archive, entry))
        assert.deepStrictEqual(texts, ["the first content", "another", undefined, undefined, "the last one"])
        const [first] = entries
        assert.strictEqual(first === undefined ? "" : readNow(archive, first, 4), "first content")
        assert.strictEqual(first === undefined ? "" : readNow(archive, first, 17), undefined)
      })
    )
  }

  it.effect("are never shown where something else stands", () =>
    Effect.gen(function* () {
      const { archive, payload } = encodeArchive(sample, 2)
      const damaged = Uint8Array.from(payload ?? [])
      const at = Buffer.from(damaged).indexOf("another") - 16
      damaged[at + 8] = 99
      const { archive: opened, entries } = yield* listed({ archive, payload: damaged })
      const texts = entries.map((entry) => readNow(opened, entry))
      assert.deepStrictEqual(texts, ["the first content", undefined, undefined, undefined, "the last one"])
      const place = placeOf(entries[1]?.attributes.inode ?? 0n)
      const { reason } = yield* Effect.flip(opened.lend(place, 0, 10, copyOf))
      assert.strictEqual(reason, "Damaged")
      assert.strictEqual(readNow(opened, entries[1]!), undefined)
    })
  )
})
