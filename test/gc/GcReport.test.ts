/** What a garbage collection leaves behind and tells: dry runs, `.gc-status`, progress, the proof of times. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { lstatSync, lutimesSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Gc from "../../src/gc/Gc.ts"
import * as GcStatus from "../../src/gc/GcStatus.ts"
import { Progress, type ProgressEvent } from "../../src/platform/Progress.ts"
import { chunkPath } from "../../src/store/StoreLayout.ts"
import { platform } from "../store/stores.ts"
import { age, backUp, collect, digestOfText, inStore, insertLoose, scene } from "./scene.ts"

const time = 1_700_000_000

const ageNote = (path: string): void => lutimesSync(path, time, time)

/**
 * Names, sizes and times of everything below a folder. Reading an index may move its access time, so only chunks'
 * count.
 */
const snapshotOfTree = (folder: string): ReadonlyArray<string> =>
  (readdirSync(folder, { recursive: true, encoding: "utf8" }) as Array<string>).toSorted().map((name) => {
    const stat = lstatSync(join(folder, name), { bigint: true })
    return `${name} ${stat.size} ${stat.mtimeNs} ${name.startsWith(".chunks/") && stat.isFile() ? stat.atimeNs : ""}`
  })

describe("what it leaves and tells", () => {
  it.live("a dry run changes no byte and no time, and says what a real one does then", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["one", "two"] })
        rmSync(chunkPath(layout, digestOfText("two")))
        yield* insertLoose(layout, "loose")
        age(layout)
        const before = snapshotOfTree(layout.base)
        const foreseen = yield* Gc.dryRun({ mark: "atime" })
        assert.deepStrictEqual(snapshotOfTree(layout.base), before)
        const done = yield* collect()
        const { upid: _1, ...expected } = foreseen.status
        const { upid: _2, ...actual } = done.status
        assert.deepStrictEqual(actual, expected)
        assert.strictEqual(actual.removedChunks, 1)
        assert.strictEqual(foreseen.plan.missing.count, 1)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live(".gc-status is what Proxmox Backup Server writes, and can be read back", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["one"] })
        const { status } = yield* collect()
        const text = readFileSync(layout.gcStatus, "utf8")
        assert.strictEqual(
          text.replaceAll(/"UPID:[^"]+:garbage_collection:[^"]+:root@pam:"/g, "UPID"),
          '{"upid":UPID,"index-file-count":1,"index-data-bytes":3,"disk-bytes":15,"disk-chunks":1,' +
            '"removed-bytes":0,"removed-chunks":0,"pending-bytes":0,"pending-chunks":0,"removed-bad":0,' +
            '"still-bad":0,"cache-stats":{"hits":0,"misses":1}}'
        )
        assert.deepStrictEqual(yield* GcStatus.read(layout), status)
        writeFileSync(layout.gcStatus, '{"upid":')
        assert.deepStrictEqual(yield* GcStatus.read(layout), GcStatus.empty)
        writeFileSync(layout.gcStatus, '{"upid":null,"disk-chunks":-1}')
        assert.deepStrictEqual(yield* GcStatus.read(layout), GcStatus.empty)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("progress covers both phases, and the removing", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      const events: Array<ProgressEvent> = []
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["one"] })
        yield* insertLoose(layout, "loose")
        age(layout)
        yield* collect().pipe(Effect.provideService(Progress, (event) => void events.push(event)))
      }).pipe(inStore(layout))
      const ended = events.flatMap((event) =>
        event.type === "progress" && event.state === "ended" ? [[event.task, event.done, event.total]] : []
      )
      assert.deepStrictEqual(ended, [
        ["gc-mark", 1, 1],
        ["gc-sweep", 2, 2],
        ["gc-remove", 1, 1]
      ])
    }).pipe(Effect.provide(platform))
  )

  it.live("proves the file system's times first, by waiting once and then by the note of the last run", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Gc.collect().pipe(inStore(layout))
      const started = performance.now()
      yield* Gc.collect().pipe(inStore(layout))
      assert.isAtLeast(performance.now() - started, 1000)
      ageNote(layout.collector)
      const second = performance.now()
      yield* Gc.collect().pipe(inStore(layout))
      assert.isBelow(performance.now() - second, 1000)
    }).pipe(Effect.provide(platform))
  )
})
