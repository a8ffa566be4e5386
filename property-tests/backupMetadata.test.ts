/**
 * Metadata change detection over generations: after any changes, however the previous payload is cut into chunks, an
 * archive that takes contents over holds the same tree as one that reads everything.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  assertAccessible,
  assertSameTree,
  backUpOn,
  type Generation
} from "../test/backup/directory/generations.ts"
import { setTimes } from "../test/backup/directory/trees.ts"

const kinds = [
  "add",
  "add",
  "remove",
  "rewrite",
  "touch",
  "chmod",
  "rename",
  "replace by directory",
  "link",
  "symlink",
  "make directory"
] as const

interface Edit {
  readonly kind: (typeof kinds)[number]
  readonly place: number
  readonly name: string
  readonly sizeBytes: number
}

const editArbitrary: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(...kinds),
  place: fc.nat(1000),
  name: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz", "ab", "a.b", "b-", "é"),
  sizeBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2000 }))
})

/** A tree on disk whose every change gets a time of its own. */
class Tree {
  readonly root = mkdtempSync(join(tmpdir(), "granary-generations-"))
  /** Nanoseconds: changes lie closer together than any clock could tell. */
  #clock = 0

  apply(edit: Edit): void {
    const directories = this.#paths((path) => lstatSync(path).isDirectory())
    const files = this.#paths((path) => lstatSync(path).isFile())
    const free = join(directories[edit.place % directories.length]!, edit.name)
    const file = files[edit.place % Math.max(files.length, 1)]
    const isFree = lstatSync(free, { throwIfNoEntry: false }) === undefined
    if (edit.kind === "add" && isFree) this.#write(free, edit)
    else if (edit.kind === "make directory" && isFree) mkdirSync(free)
    else if (edit.kind === "symlink" && isFree) symlinkSync(edit.name, free)
    else if (file !== undefined) this.#applyToFile(edit, file, isFree ? free : undefined)
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }

  #applyToFile(edit: Edit, file: string, free: string | undefined): void {
    if (edit.kind === "remove") rmSync(file)
    else if (edit.kind === "rewrite") this.#write(file, { ...edit, sizeBytes: lstatSync(file).size })
    else if (edit.kind === "touch") setTimes(file, 1_600_000_000, this.#clock++)
    else if (edit.kind === "chmod") chmodSync(file, 0o600 | (edit.place & 0o77))
    else if (edit.kind === "rename" && free !== undefined) renameSync(file, free)
    else if (edit.kind === "link" && free !== undefined) linkSync(file, free)
    else if (edit.kind === "replace by directory") {
      rmSync(file)
      mkdirSync(file)
      this.#write(join(file, edit.name), edit)
    }
  }

  #write(path: string, { sizeBytes }: Edit): void {
    writeFileSync(path, Buffer.alloc(sizeBytes, `${this.#clock} `))
    setTimes(path, 1_600_000_000, this.#clock)
    this.#clock++
  }

  #paths(filter: (path: string) => boolean): ReadonlyArray<string> {
    const below = readdirSync(this.root, { recursive: true, encoding: "utf8" })
    return [this.root, ...below.toSorted().map((name) => join(this.root, name))].filter(filter)
  }
}

const scenario = fc.record({
  first: fc.array(editArbitrary, { minLength: 20, maxLength: 80, size: "max" }),
  later: fc.array(fc.array(editArbitrary, { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 1500 })), {
    minLength: 1,
    maxLength: 20
  }),
  waitingEntries: fc.constantFrom(1, 2, 5, 1000),
  pieceBytes: fc.constantFrom(1, 50, 100_000),
  targetBytes: fc.constantFrom(1, 100, 100_000),
  missing: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(fc.nat(40), { maxLength: 2 }))
})

describe("metadata change detection", () => {
  it("stores the tree as it is, generation after generation", async () => {
    let reusedFiles = 0
    await fc.assert(
      fc.asyncProperty(scenario, async ({ cuts, first, later, missing, waitingEntries, ...sizes }) => {
        const tree = new Tree()
        const cut = (offset: number): number => cuts[offset % cuts.length]!
        try {
          let previous: Generation | undefined
          for (const edits of [first, ...later]) {
            for (const edit of edits) tree.apply(edit)
            const options = { previous, cut, missing, source: { waitingEntries }, ...sizes }
            const actual = await Effect.runPromise(backUpOn(tree.root, options))
            const whole = await Effect.runPromise(backUpOn(tree.root))
            assertSameTree(actual, whole)
            await Effect.runPromise(assertAccessible(actual))
            const { files, contentBytes, hardlinks } = whole.statistics
            assert.deepInclude(actual.statistics, { files, contentBytes, hardlinks })
            assert.strictEqual(actual.readBytes, readBytesOf(actual))
            reusedFiles += actual.statistics.reusedFiles
            previous = actual
          }
        } finally {
          tree.remove()
        }
      }),
      { numRuns: 150 }
    )
    assert.isAbove(reusedFiles, 500, "the property is about taking contents over")
  })
})

/** Markers, and every file that was read with its header. */
const readBytesOf = ({ statistics: { contentBytes, files, reusedBytes, reusedFiles } }: Generation): number =>
  32 + contentBytes - reusedBytes + 16 * (files - reusedFiles)
