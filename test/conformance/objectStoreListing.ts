/**
 * The obligations of ObjectStore about listing and deleting, as tests: a part of the conformance suite
 * (`objectStoreSuite`).
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { batchSizeMax, deleteOne, type ListPage, pages } from "../../src/objectstore/ObjectStore.ts"
import {
  bytes,
  nastyNames,
  type ObjectStoreSubject,
  readText,
  reasonOf,
  type Run,
  type Store
} from "./objectStoreSubject.ts"

const keysOf = (all: ReadonlyArray<ListPage>): ReadonlyArray<string> =>
  all.flatMap(({ objects }) => objects.map(({ key }) => key))

const listed = (store: Store, prefix: ObjectKey.KeyPrefix) =>
  Effect.map(Stream.runCollect(pages(store, prefix)), keysOf)

/** All pages, each of at most `pageSize` keys. */
const inPages = (store: Store, prefix: ObjectKey.KeyPrefix, pageSize: number) =>
  Effect.gen(function* () {
    const all: Array<ListPage> = []
    for (let after: string | undefined; ;) {
      const page: ListPage = yield* store.list({
        prefix,
        pageSize,
        ...(after === undefined ? {} : { after })
      })
      all.push(page)
      after = page.next
      if (after === undefined) return all
    }
  })

export const listingTests = (run: Run, { has }: ObjectStoreSubject): void => {
  run("8. an empty part lists nothing, in one page", ({ store, prefix }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* store.list({ prefix }), { objects: [], foreignKeys: [] })
    })
  )

  run("8. keys come in the order of their bytes, with their sizes", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      for (const [index, name] of nastyNames.toReversed().entries()) {
        yield* store.put(at(name), new Uint8Array(index))
      }
      const objects = (yield* inPages(store, prefix, 1000)).flatMap((page) => page.objects)
      assert.deepStrictEqual(
        objects.map(({ key }) => key),
        nastyNames.map(at)
      )
      assert.deepStrictEqual(
        objects.map(({ sizeBytes }) => sizeBytes),
        nastyNames.map((_, index) => nastyNames.length - 1 - index)
      )
    })
  )

  for (const pageSize of [1, 2, 3, nastyNames.length - 1, nastyNames.length]) {
    run(`8. pages of ${pageSize} make up the whole`, ({ store, prefix, at }) =>
      Effect.gen(function* () {
        for (const name of nastyNames) yield* store.put(at(name), bytes("x"))
        const all = yield* inPages(store, prefix, pageSize)
        assert.deepStrictEqual(keysOf(all), nastyNames.map(at))
        assert.isTrue(all.every(({ objects }) => objects.length <= pageSize))
        // `next` is there only when more follows.
        assert.isNotEmpty(all.at(-1)?.objects)
      })
    )
  }

  run("8. a page begins behind any text, whether there is such a key or not", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      for (const name of ["aa/aab", "aa/aac", "ab/abb"]) yield* store.put(at(name), bytes("x"))
      const behind = (text: string) =>
        Effect.map(store.list({ prefix, after: prefix + text, pageSize: 1 }), (page) => keysOf([page]))
      assert.deepStrictEqual(yield* behind("aa/aa"), [at("aa/aab")])
      assert.deepStrictEqual(yield* behind("aa/aab"), [at("aa/aac")])
      assert.deepStrictEqual(yield* behind("aa/aad"), [at("ab/abb")])
      assert.deepStrictEqual(yield* behind("ab/ab"), [at("ab/abb")])
      assert.deepStrictEqual(yield* behind("ab/abc"), [])
    })
  )

  run("8. a prefix takes what is below it, and nothing that merely begins alike", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      const names = ["vm/10", "vm/10/a", "vm/10/b/c", "vm/100/a", "vm/10.bad", "vm/1/a"]
      for (const name of names) yield* store.put(at(name), bytes("x"))
      const below = (relative: string) => listed(store, ObjectKey.joinPrefix(prefix, relative))
      assert.deepStrictEqual(yield* below("vm/10/"), ["vm/10/a", "vm/10/b/c"].map(at))
      assert.deepStrictEqual(yield* below("vm/1/"), ["vm/1/a"].map(at))
      assert.deepStrictEqual(yield* below("v/"), [])
      assert.deepStrictEqual(yield* below("vm/10/a/"), [])
    })
  )

  run("8. more than 1000 keys come in pages", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      const keys = Array.from({ length: 1001 }, (_, index) => at(`many/${String(index).padStart(4, "0")}`))
      yield* Effect.forEach(keys, (key) => store.put(key, bytes("x")), { concurrency: 16, discard: true })
      const first = yield* store.list({ prefix, pageSize: 5000 })
      assert.isAtMost(first.objects.length, 1000)
      assert.isDefined(first.next)
      assert.deepStrictEqual(yield* listed(store, prefix), keys)
    })
  )

  run("8. what stays is listed once, though others come and go between the pages", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      const stay = ["b/1", "d", "f/1"].map(at)
      for (const key of [...stay, at("a"), at("c/1")]) yield* store.put(key, bytes("x"))
      const seen: Array<string> = []
      let after: string | undefined
      do {
        const page: ListPage = yield* store.list({
          prefix,
          pageSize: 1,
          ...(after === undefined ? {} : { after })
        })
        seen.push(...page.objects.map(({ key }) => key))
        after = page.next
        if (seen.length === 1) {
          yield* store.deleteMany([at("a"), at("c/1")])
          yield* store.put(at("b/0"), bytes("new"))
        }
      } while (after !== undefined)
      for (const key of stay)
        assert.lengthOf(
          seen.filter((name) => name === key),
          1
        )
      assert.notInclude(seen, at("c/1"))
    })
  )

  run(
    "8. keys of others are told apart, and fail nothing",
    ({ store, prefix, at, putForeign }) =>
      Effect.gen(function* () {
        yield* store.put(at("a"), bytes("x"))
        yield* store.put(at("z"), bytes("x"))
        yield* (putForeign ?? Effect.die)(`${prefix}control\u0001`)
        const all = yield* inPages(store, prefix, 1)
        assert.deepStrictEqual(keysOf(all), ["a", "z"].map(at))
        assert.deepStrictEqual(
          all.flatMap(({ foreignKeys }) => foreignKeys),
          [`${prefix}control\u0001`]
        )
      }),
    has?.putForeign ?? false
  )
}

export const deletingTests = (run: Run): void => {
  run("3, 9. what is deleted is gone, and only that", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      for (const name of ["a", "a/b", "a/b/c", "d"]) yield* store.put(at(name), bytes(name))
      yield* deleteOne(store, at("a/b"))
      assert.strictEqual(yield* reasonOf(store.head(at("a/b"))), "NotFound")
      assert.deepStrictEqual(yield* listed(store, prefix), ["a", "a/b/c", "d"].map(at))
      assert.strictEqual(yield* readText(store, at("a/b/c")), "a/b/c")
    })
  )

  run("9. each different key is answered for once; one without object counts as deleted", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("x"))
      const report = yield* store.deleteMany(["a", "none", "a", "no/such/folder"].map(at))
      assert.deepStrictEqual(report.failed, [])
      assert.sameMembers([...report.deleted], ["a", "none", "no/such/folder"].map(at))
      assert.deepStrictEqual(yield* store.deleteMany([]), { deleted: [], failed: [] })
    })
  )

  run("9. a full batch works, and one key more is Rejected and deletes nothing", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("0"), bytes("x"))
      yield* store.put(at("999"), bytes("x"))
      const keys = Array.from({ length: batchSizeMax + 1 }, (_, index) => at(String(index)))
      assert.strictEqual(yield* reasonOf(store.deleteMany(keys)), "Rejected")
      assert.lengthOf(yield* listed(store, prefix), 2)
      assert.lengthOf((yield* store.deleteMany(keys.slice(0, batchSizeMax))).deleted, batchSizeMax)
      assert.deepStrictEqual(yield* listed(store, prefix), [])
    })
  )

  run("puts and deletions of neighbours do not disturb each other", ({ store, at }) =>
    Effect.gen(function* () {
      const rounds = (name: string) =>
        Effect.gen(function* () {
          for (let round = 0; round < 15; round++) {
            yield* store.put(at(`folder/below/${name}`), bytes(`${round}`))
            assert.strictEqual(yield* readText(store, at(`folder/below/${name}`)), `${round}`)
            yield* deleteOne(store, at(`folder/below/${name}`))
          }
        })
      yield* Effect.forEach(["a", "b", "c", "d"], rounds, { concurrency: 4, discard: true })
    })
  )
}
