/** What others change in the bucket while a refresh is under way: in the end the folder has it as the bucket does. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  expected,
  type Hook,
  isContentGet,
  isContentList,
  metadata,
  objectSeconds,
  put,
  remove,
  Scene,
  times
} from "./scene.ts"

describe("what changes while a refresh is under way", () => {
  /** What is put into place must be whole by itself; a last look comes after it. */
  const during = (when: (request: string) => boolean, change: (scene: Scene) => void) =>
    Effect.gen(function* () {
      let isDone = false
      let lists = 0
      let inPlace: Effect.Success<Scene["tree"]> | undefined
      const hook: Hook = (request) =>
        Effect.gen(function* () {
          if (isContentList(request) && ++lists === 3) inPlace = yield* scene.tree
          if (isDone || !when(request)) return
          isDone = true
          change(scene)
        })
      const scene: Scene = new Scene({ hook })
      yield* scene.claim
      const summary = yield* scene.refresh
      assert.isTrue(isDone)
      const tree = yield* scene.tree
      const isMetadata = ([path]: readonly [string, string]) => /^\/store\/(?:vm|ct|host|ns)\//.test(path)
      const metadataOf = ({ empty, files }: typeof tree) => ({
        empty: empty.filter((path) => !path.includes("granary-refresh")),
        files: Object.fromEntries(Object.entries(files).filter(isMetadata))
      })
      const assertAsPlaced = () => assert.deepStrictEqual(metadataOf(inPlace ?? tree), metadataOf(tree))
      return { scene, summary, found: yield* scene.found, assertAsPlaced }
    })

  const nthContentList = (nth: number) => {
    let count = 0
    return (request: string) => isContentList(request) && ++count === nth
  }

  const without = (part: string) =>
    Object.fromEntries(Object.entries(expected).filter(([path]) => !path.includes(part)))

  const removeSnapshot = (scene: Scene): void => {
    for (const path of Object.keys(metadata)) if (path.includes(times[1])) remove(scene.memory, path)
  }

  it.effect("a snapshot that is forgotten is not half there", () =>
    Effect.gen(function* () {
      const { found, assertAsPlaced, summary } = yield* during(isContentGet, removeSnapshot)
      assert.deepStrictEqual(found, without(times[1]))
      assert.strictEqual(summary.fetched.vanished, 2)
      assertAsPlaced()
    })
  )

  it.effect("a group that goes takes its folder along", () =>
    Effect.gen(function* () {
      for (const [index, when] of [isContentGet, nthContentList(2), nthContentList(3)].entries()) {
        const { assertAsPlaced, found, scene } = yield* during(when, ({ memory }) => {
          for (const path of Object.keys(metadata)) if (path.startsWith("vm/")) remove(memory, path)
        })
        assert.deepStrictEqual(found, without("vm/"))
        assert.notInclude((yield* scene.tree).empty.join(), "vm/")
        if (index < 2) assertAsPlaced()
      }
    })
  )

  it.effect("a manifest that is changed is the new one", () =>
    Effect.gen(function* () {
      const path = `host/a/${times[0]}/index.json.blob`
      for (const nth of [2, 3]) {
        const { found, assertAsPlaced } = yield* during(nthContentList(nth), ({ memory }) =>
          put(memory, path, "manifest!!", objectSeconds + 60)
        )
        assert.deepStrictEqual(found, { ...expected, [path]: "manifest!!" }, `at listing ${nth}`)
        if (nth === 2) assertAsPlaced()
      }
    })
  )

  it.effect("a snapshot that is finished between two pages of a listing has all its files", () =>
    Effect.gen(function* () {
      const folder = "host/a/2026-01-03T00:00:00Z"
      let count = 0
      const hook: Hook = (request) =>
        Effect.sync(() => {
          // The catalog's place has been passed, the manifest's not yet.
          if (!isContentList(request) || ++count !== 2) return
          for (const name of ["catalog.pcat1.didx", "index.json.blob"])
            put(scene.memory, `${folder}/${name}`, name)
        })
      const scene: Scene = new Scene({ hook, server: { pageSizeMax: 1 } })
      put(scene.memory, `${folder}/drive.img.fidx`, "drive")
      for (const path of Object.keys(metadata)) if (!path.startsWith("host/a/")) remove(scene.memory, path)
      for (const path of Object.keys(metadata)) if (path.includes("T")) remove(scene.memory, path)
      yield* scene.claim
      const { plan } = yield* scene.refresh
      assert.isTrue(plan.listing.files.has(`${folder}/index.json.blob`))
      assert.isFalse(plan.listing.files.has(`${folder}/catalog.pcat1.didx`))
      assert.strictEqual((yield* scene.found)[`${folder}/catalog.pcat1.didx`], "catalog.pcat1.didx")
    })
  )

  it.effect("what never holds still is told", () =>
    Effect.gen(function* () {
      let count = 0
      const hook: Hook = (request) =>
        Effect.sync(() => {
          if (request.startsWith("list "))
            put(scene.memory, "host/a/notes", `${++count}`, objectSeconds + count)
        })
      const scene: Scene = new Scene({ hook })
      yield* scene.claim
      const error = yield* Effect.flip(scene.refresh)
      assert.strictEqual(error.message, "host/a: it changes faster in the bucket than it can be read")
    })
  )
})
