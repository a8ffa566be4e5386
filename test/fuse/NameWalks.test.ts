/** Who gets a directory by its names alone: one who has shown that he wants no more, until somebody does. */
import { assert, describe, it } from "@effect/vitest"
import * as NameWalks from "../../src/fuse/kernel/NameWalks.ts"

/** What a thread gets that lists so many directories of ten entries one after the other. */
const walk = (walks: NameWalks.NameWalks, threadId: number, first: bigint, count: number) =>
  Array.from({ length: count }, (_, number) => walks.isByName(threadId, first + BigInt(number), 10))

describe("walks by name", () => {
  it("begin with the third directory of a thread, and go on while nobody asks", () => {
    const walks = NameWalks.make()
    assert.deepStrictEqual(walk(walks, 1, 10n, 5), [false, false, true, true, true])
    assert.deepStrictEqual(walk(walks, 2, 20n, 2), [false, false])
    walks.onLookup(10n)
    assert.deepStrictEqual(walk(walks, 1, 30n, 2), [true, true])
  })

  it("end for everybody when somebody asks for a name in such a directory, for a good while", () => {
    const walks = NameWalks.make()
    walk(walks, 1, 10n, 4)
    walk(walks, 2, 20n, 3)
    walks.onLookup(13n)
    assert.isFalse(walk(walks, 2, 100n, 2000).includes(true))
    assert.isFalse(walk(walks, 1, 3000n, 2000).includes(true))
    assert.isTrue(walk(walks, 1, 6000n, 200).includes(true))
  })

  it("are tried on a small directory with something in it, never on a large one", () => {
    const walks = NameWalks.make()
    walk(walks, 1, 10n, 2)
    assert.isFalse(walks.isByName(1, 20n, 100_000))
    assert.isFalse(walks.isByName(1, 21n, 0))
    assert.isTrue(walks.isByName(1, 22n, 200))
    assert.isTrue(walks.isByName(1, 23n, 100_000))
  })

  it("of very many threads and directories are forgotten, the oldest first", () => {
    const walks = NameWalks.make()
    for (let thread = 1; thread <= 100; thread++) walk(walks, thread, BigInt(thread) * 1000n, 2)
    assert.isTrue(walks.isByName(100, 1n, 10))
    assert.isFalse(walks.isByName(1, 2n, 10))
    walk(walks, 100, 1_000_000n, 20_000)
    walks.onLookup(1n)
    assert.isTrue(walks.isByName(100, 3n, 10))
  })
})
