/** The parts of metadata change detection: the plan, the cursor, and the walk with both. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { linkSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { openDirectory } from "../../../src/backup/DirectorySource.ts"
import { ReuseCursor } from "../../../src/backup/directory/ReuseCursor.ts"
import { ReusePlan } from "../../../src/backup/directory/ReusePlan.ts"
import { Encoder } from "../../../src/format/pxar/Encoder.ts"
import { makeFileMetadata, MODE_TYPE } from "../../../src/model/FileMetadata.ts"
import { assertSameTree, backUpOn, indexOf, previousOf } from "./generations.ts"
import { countDescriptors, entriesOf, pathsOf, setTimes, textAt, withFolder, write } from "./trees.ts"

const range = (offset: number, endOffset: number) => ({ offset, endOffset })

/** Chunks of 100 bytes. */
const plan = (): ReusePlan =>
  new ReusePlan(indexOf(new Uint8Array(1000), [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]))

describe("ReusePlan", () => {
  it("takes chunks over when at most a tenth of them is padding", () => {
    for (const [paddingBytes, isTaken] of [
      [0, true],
      [10, true],
      [11, false]
    ] as const) {
      const tried = plan()
      assert.strictEqual(tried.add(range(paddingBytes, 100)), "waiting")
      assert.deepStrictEqual(tried.settle(true), isTaken ? { first: 0, last: 0 } : undefined)
      assert.strictEqual(tried.placeOf(range(paddingBytes, 100)) === undefined, !isTaken)
    }
  })

  it("counts holes inside and both ends as padding", () => {
    const tried = plan()
    assert.strictEqual(tried.add(range(205, 250)), "waiting")
    assert.strictEqual(tried.add(range(260, 420)), "waiting")
    assert.strictEqual(tried.add(range(420, 490)), "waiting")
    assert.deepStrictEqual(tried.settle(true), { first: 2, last: 4 }, "25 of 300 bytes")
    tried.interrupt()
    tried.add(range(505, 550))
    tried.add(range(560, 585))
    assert.isUndefined(tried.settle(true), "30 of 100 bytes")
  })

  it("keeps distances, and goes on in a chunk that is in place without placing it again", () => {
    const tried = plan()
    tried.add(range(100, 180))
    assert.deepStrictEqual(tried.settle(false), { first: 1, last: 1 }, "the end may still be used")
    tried.place({ first: 1, last: 1 }, 5000)
    assert.strictEqual(tried.placeOf(range(100, 180)), 5000)
    assert.strictEqual(tried.add(range(180, 190)), "placed")
    assert.strictEqual(tried.placeOf(range(180, 190)), 5080)
    assert.strictEqual(tried.add(range(190, 300)), "waiting")
    assert.deepStrictEqual(tried.settle(true), { first: 2, last: 2 })
    tried.place({ first: 2, last: 2 }, 5100)
    assert.strictEqual(tried.placeOf(range(190, 300)), 5090)
    tried.interrupt()
    assert.strictEqual(tried.add(range(299, 300)), "waiting", "something else stands behind it now")
  })

  it("ends a run where a content begins with a chunk of its own, and where order breaks", () => {
    for (const next of [range(300, 310), range(100, 110), range(240, 260)]) {
      const tried = plan()
      tried.add(range(200, 250))
      assert.strictEqual(tried.add(next), "apart")
      assert.isTrue(tried.isOpen)
      tried.settle(true)
      assert.isFalse(tried.isOpen)
      assert.strictEqual(tried.add(next), "waiting")
    }
  })
})

const encodeNames = (build: (encoder: Encoder) => void): Uint8Array => {
  const encoder = Encoder.startArchive(directory, { version: 2 })
  build(encoder)
  encoder.finishArchive()
  return encoder.takeArchiveBytes()
}
const directory = makeFileMetadata({ mode: MODE_TYPE.directory | 0o755 })
const fifo = makeFileMetadata({ mode: MODE_TYPE.fifo | 0o644 })
const nameOf = (text: string): Uint8Array => Buffer.from(text)

describe("ReuseCursor", () => {
  const archive = encodeNames((encoder) => {
    encoder.startDirectory(nameOf("a"), directory)
    encoder.addFifo(nameOf("x"), fifo)
    encoder.startDirectory(nameOf("y"), directory)
    encoder.addFifo(nameOf("deep"), fifo)
    encoder.finishDirectory()
    encoder.finishDirectory()
    encoder.addFifo(nameOf("b"), fifo)
    encoder.startDirectory(nameOf("c"), directory)
    encoder.addFifo(nameOf("x"), fifo)
    encoder.finishDirectory()
  })

  /** Feeds bytes in pieces as they are wanted. */
  const finder = (pieceBytes: number) => {
    const cursor = new ReuseCursor()
    let position = 0
    const find = (name: string): string | undefined => {
      while (!cursor.seek(nameOf(name))) {
        if (position === archive.length) cursor.end()
        cursor.push(archive.subarray(position, (position += pieceBytes)))
        position = Math.min(position, archive.length)
      }
      return cursor.found?.kind
    }
    return { cursor, find }
  }

  for (const pieceBytes of [1, 17, 10_000]) {
    it(`finds what both trees have, fed with ${pieceBytes} bytes at a time`, () => {
      const { cursor, find } = finder(pieceBytes)
      assert.isUndefined(find("A"))
      assert.strictEqual(find("a"), "directory")
      cursor.enter()
      assert.isUndefined(find("b"), "that is a name one level above")
      assert.strictEqual(find("x"), "fifo")
      assert.isUndefined(find("xx"))
      assert.strictEqual(find("y"), "directory")
      cursor.leave()
      assert.isUndefined(find("aa"))
      cursor.enter()
      assert.isUndefined(find("x"), "a new directory has no counterpart")
      cursor.leave()
      assert.strictEqual(find("b"), "fifo")
      assert.strictEqual(find("c"), "directory")
      cursor.enter()
      assert.strictEqual(find("x"), "fifo")
      assert.isUndefined(find("z"))
      cursor.leave()
      assert.isUndefined(find("d"))
    })
  }
})

/** Files of 100 bytes with their headers make chunks of 116 bytes: marker and first file, then one file each. */
const tenFiles = (root: string): void => {
  for (let index = 0; index < 10; index++) {
    write(root, { [`f${index}`]: "x".repeat(100) })
    setTimes(join(root, `f${index}`), 1_600_000_000, index)
  }
}

describe("a walk with a previous archive", () => {
  it.effect("decides when as many entries wait as may, and reads nothing all the same", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        symlinkSync("f0", join(root, "f5link"))
        const first = yield* backUpOn(root)
        assert.strictEqual(first.index.count, 1)
        for (const waitingEntries of [2, 3, 10, 100]) {
          const next = yield* backUpOn(root, { previous: first, source: { waitingEntries } })
          assertSameTree(next, first)
          assert.strictEqual(next.statistics.reusedFiles, 10)
          assert.deepStrictEqual(next.injected, [[0, 0]], "a chunk is not injected twice")
        }
      })
    )
  )

  it.effect("reads files again whose chunk would be mostly padding", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        // A chunk holds two files and their headers.
        const first = yield* backUpOn(root, { cut: (offset) => (offset === 0 ? 16 : 232) })
        rmSync(join(root, "f3"))
        const next = yield* backUpOn(root, { previous: first })
        assertSameTree(next, yield* backUpOn(root))
        assert.deepStrictEqual(next.injected, [
          [1, 1],
          [3, 3],
          [4, 4],
          [5, 5]
        ])
        assert.deepStrictEqual([next.statistics.reusedFiles, next.statistics.files], [8, 9])
      })
    )
  )

  it.effect("puts what has changed between the runs before and behind it", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        const first = yield* backUpOn(root, { cut: (offset) => (offset === 0 ? 16 : 116) })
        write(root, { f4: "new" })
        const next = yield* backUpOn(root, { previous: first })
        assertSameTree(next, yield* backUpOn(root))
        assert.deepStrictEqual(next.injected.length, 9)
        assert.strictEqual(next.readBytes, 16 + 16 + 3 + 16)
        const again = yield* backUpOn(root, { previous: next })
        assertSameTree(again, next)
        assert.strictEqual(again.statistics.reusedFiles, 10)
      })
    )
  )

  it.effect("stores what is there when a file that waits has been replaced or has gone", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        linkSync(join(root, "f2"), join(root, "f6link"))
        linkSync(join(root, "f3"), join(root, "f7link"))
        const first = yield* backUpOn(root)
        // What is left of the only chunk is not worth it, so that all that waits is read in the end.
        for (const name of ["f8", "f9"]) rmSync(join(root, name))
        const middle = Buffer.from(first.archive).indexOf("f7\0")
        const change = (): void => {
          for (const name of ["f1", "f2", "f5"]) rmSync(join(root, name))
          write(root, { f4: "longer than before".repeat(10) })
          symlinkSync("f0", join(root, "f5"))
        }
        // The walk has passed the first files when it asks for the second half.
        const halves = [first.archive.subarray(0, middle), first.archive.subarray(middle)]
        const nextPiece = Effect.sync(() => {
          const half = halves.shift()
          if (halves.length === 0 && half !== undefined) change()
          return half
        })
        const next = yield* backUpOn(root, {
          previous: first,
          source: { previous: { ...previousOf(first), nextPiece } }
        })
        const entries = entriesOf(next.archive, next.payload)
        assert.deepStrictEqual(next.warnings, [
          "f1: it vanished",
          "f2: it vanished",
          "f5: it was left out: it cannot be read (ELOOP)"
        ])
        assert.deepStrictEqual(pathsOf(entries), ["f0", "f3", "f4", "f6", "f6link", "f7", "f7link"])
        assert.strictEqual(textAt(entries, "f4"), "longer than before".repeat(10))
        assert.strictEqual(entries.get("f6link")?.event.entry.kind, "file", "its first name has gone")
        assert.strictEqual(entries.get("f7link")?.event.entry.kind, "hardlink")
        assert.strictEqual(textAt(entries, "f6link"), "x".repeat(100))
      })
    )
  )

  it.effect("lets go of every descriptor, wherever it is left", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        const first = yield* backUpOn(root)
        renameSync(join(root, "f7"), join(root, "f77"))
        const before = countDescriptors()
        for (const targetBytes of [1, 7, 40, 130]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const previous = previousOf(first)
              const source = yield* openDirectory({ path: root, version: 2, excludes: [], previous })
              yield* source.read(new Uint8Array(targetBytes))
            })
          )
          assert.strictEqual(countDescriptors(), before)
        }
        yield* backUpOn(root, { previous: first })
        assert.strictEqual(countDescriptors(), before)
      })
    )
  )

  it.effect("warns once about a damaged archive and reads the rest", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        const first = yield* backUpOn(root, { cut: (offset) => (offset === 0 ? 16 : 116) })
        const archive = Uint8Array.from(first.archive)
        const middle = Buffer.from(archive).indexOf("f5\0")
        archive.fill(0xff, middle - 16, middle)
        const damaged = { ...first, archive }
        const next = yield* backUpOn(root, { previous: damaged })
        assertSameTree(next, first)
        assert.strictEqual(next.statistics.reusedFiles, 5)
        assert.strictEqual(next.warnings.length, 1)
        assert.match(next.warnings[0]!, /^: the previous snapshot cannot be compared with any further: /)
      })
    )
  )

  it.effect("does not believe in contents outside of the payload stream", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        tenFiles(root)
        const first = yield* backUpOn(root)
        const shorter = { ...first, index: indexOf(first.payload.subarray(0, 600), [600]) }
        const next = yield* backUpOn(root, { previous: shorter })
        assertSameTree(next, first)
        assert.strictEqual(next.statistics.reusedFiles, 5)
      })
    )
  )
})
