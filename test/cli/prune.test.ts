/** `granary prune`, and `forget` for groups, as commands: what they print, and how they end. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { createDatastore } from "../../src/promises.ts"
import { add } from "../prune/scenes.ts"
import { platform } from "../store/stores.ts"
import { granary, granaryJson } from "./lookRun.ts"

vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))

const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "granary-prune-"))
const store = join(folder, "store")

const args = (...rest: ReadonlyArray<string>) => [...rest, "-r", store]
const pruning = (...rest: ReadonlyArray<string>) => args("prune", "--time-zone", "UTC", ...rest)

beforeAll(async () => {
  writeFileSync(join(folder, "a.conf"), "content")
  await using made = await createDatastore(store, { syncLevel: "none", threads: 1 })
  await made.createNamespace("team/dev")
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true }))

const name = (group: string, day: number) => `${group}/2026-11-${String(day).padStart(2, "0")}T10:00:00Z`

/** Makes snapshots of days of November. */
const make = (names: ReadonlyArray<string>, ns = "") =>
  Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* Datastore.open({ path: store, syncLevel: "none" })
      for (const each of names) yield* add(opened, each, Namespace.parse(ns))
    })
  ).pipe(Effect.provide(platform))

/** Holds a lock of the store, as another program would, while something runs. */
const holding = <A, E, R>(lock: string, mode: "shared" | "exclusive", effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* Datastore.open({ path: store }).pipe(Effect.provide(platform))
      yield* opened.locks.hold(lock, mode)
      return yield* effect
    })
  )

describe("granary prune", () => {
  it.live("shows what it would do, does it, and then has nothing to do", () =>
    Effect.gen(function* () {
      const days = (...list: ReadonlyArray<number>) => list.map((day) => name("host/a", day))
      yield* make([
        ...days(1, 8, 18, 19),
        `p${name("host/a", 2)}`,
        `u${name("host/a", 3)}`,
        `u${name("host/a", 20)}`
      ])
      const keep = ["host/a", "--keep-last", "1", "--keep-weekly", "2"]
      const plan = yield* granary(pruning(...keep, "--dry-run"))
      assert.strictEqual(plan.code, 0, plan.errors)
      assert.deepStrictEqual(
        plan.text.split("\n").map((line) => line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, "LOCAL")),
        [
          "host/a",
          "  snapshot              local time           decision",
          "  2026-11-20T10:00:00Z  LOCAL  kept: unfinished, perhaps still running",
          "  2026-11-19T10:00:00Z  LOCAL  kept: last 1",
          "  2026-11-18T10:00:00Z  LOCAL  removed: no rule keeps it",
          "  2026-11-08T10:00:00Z  LOCAL  kept: weekly 2026-W45",
          "  2026-11-03T10:00:00Z  LOCAL  removed: an older unfinished backup",
          "  2026-11-02T10:00:00Z  LOCAL  kept: protected",
          "  2026-11-01T10:00:00Z  LOCAL  kept: weekly 2026-W44",
          "",
          "would keep 5 snapshots, would remove 2",
          ""
        ]
      )
      assert.strictEqual(readdirSync(join(store, "host/a")).length, 8)
      const dry = yield* granaryJson(pruning(...keep, "--dry-run"))
      const done = yield* granaryJson(pruning(...keep))
      assert.deepStrictEqual([done.code, done.json], [0, dry.json], done.errors)
      const progress = done.errors
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        progress.map(({ task, state, done: count }) => [task, state, count]),
        [
          ["prune", "started", 0],
          ["prune", "ended", 2]
        ]
      )
      assert.deepStrictEqual(done.json[4], {
        "backup-type": "host",
        "backup-id": "a",
        "backup-time": Snapshot.parse(name("host/a", 3)).time,
        keep: false,
        protected: false,
        reason: "removed: an older unfinished backup"
      })
      assert.deepStrictEqual(
        done.json.map((each: Record<string, unknown>) => [each["keep"], each["protected"]]),
        [
          [true, false],
          [true, false],
          [false, false],
          [true, false],
          [false, false],
          [true, true],
          [true, false]
        ]
      )
      assert.strictEqual(readdirSync(join(store, "host/a")).length, 6)
      const again = yield* granary(pruning(...keep))
      assert.match(again.text, /\nkept 5 snapshots, removed 0\n$/)
    })
  )

  it.live("names the namespace, and goes no deeper than asked", () =>
    Effect.gen(function* () {
      yield* make([name("host/n", 1), name("host/n", 2)], "team")
      yield* make([name("host/n", 1), name("host/n", 2)], "team/dev")
      const inTeam = ["--ns", "team", "--keep-last", "1", "--dry-run"]
      const all = yield* granaryJson(pruning(...inTeam))
      assert.deepStrictEqual(
        all.json.map((each: Record<string, unknown>) => [each["ns"], each["keep"]]),
        [
          ["team", true],
          ["team", false],
          ["team/dev", true],
          ["team/dev", false]
        ]
      )
      assert.strictEqual((yield* granaryJson(pruning(...inTeam, "--max-depth", "0"))).json.length, 2)
      assert.match((yield* granary(pruning(...inTeam))).text, /^team: host\/n\n.*\nteam\/dev: host\/n\n/s)
      assert.strictEqual((yield* granaryJson(pruning("host/n", ...inTeam))).json.length, 2)
    })
  )

  it.live("without a rule keeps everything, and warns", () =>
    Effect.gen(function* () {
      yield* make([name("host/w", 1), name("host/w", 2)])
      for (const flags of [[], ["--keep-last", "0"]]) {
        const outcome = yield* granaryJson(pruning("host/w", ...flags))
        assert.strictEqual(outcome.code, 3)
        assert.match(outcome.errors, /no keep rule was given/)
        assert.deepStrictEqual(
          outcome.json.map((each: Record<string, unknown>) => each["reason"]),
          ["kept: no rule was given", "kept: no rule was given"]
        )
      }
      assert.strictEqual(readdirSync(join(store, "host/w")).length, 3)
    })
  )

  it.live("ends with warnings when a snapshot is in use", () =>
    Effect.gen(function* () {
      yield* make([name("host/u", 1), name("host/u", 2), name("host/u", 3)])
      const lock = Datastore.snapshotLockName(Namespace.root, Snapshot.parse(name("host/u", 1)))
      const outcome = yield* holding(lock, "shared", granary(pruning("host/u", "--keep-last", "1")))
      assert.strictEqual(outcome.code, 3)
      assert.strictEqual(outcome.errors, `warning: ${name("host/u", 1)}: could not be removed: in use\n`)
      assert.match(outcome.text, /2026-11-01T10:00:00Z .* kept: in use\n\nkept 2 snapshots, removed 1\n$/)
    })
  )

  it.live("refuses a wrong command line", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["--keep-daily", "-1"], 2, /keep-daily "-1".*--keep-daily 7/],
        [["--keep-daily", "many"], 2, /keep-daily.*--help/],
        [["laptop", "--keep-daily", "1"], 2, /backup group "laptop".*host\/laptop/],
        [["host/none", "--keep-daily", "1"], 1, /host\/none: there is no such backup group/],
        [["--keep-daily", "1", "--max-depth", "-1"], 2, /--max-depth -1/],
        [["--keep-daily", "1", "--time-zone", "Mars/Base"], 2, /time zone "Mars\/Base".*Europe\/Vienna/]
      ]
      for (const [rest, code, line] of cases) {
        const outcome = yield* granary(args("prune", ...rest))
        assert.strictEqual(outcome.code, code, outcome.errors)
        assert.match(outcome.errors, line)
        assert.strictEqual(outcome.text, "")
      }
    })
  )
})

describe("granary forget", () => {
  it.live("removes a group as a whole, the group itself included", () =>
    Effect.gen(function* () {
      yield* make([name("host/g", 1), `u${name("host/g", 2)}`])
      const both = [name("host/g", 1), "host/g"]
      const asked = yield* granary(args("forget", ...both))
      assert.deepStrictEqual([asked.code, asked.text], [2, ""])
      assert.match(asked.errors, /would remove 2 snapshots.*--yes/)
      const done = yield* granary(args("forget", ...both, "--yes"))
      assert.strictEqual(done.code, 0, done.errors)
      assert.strictEqual(
        done.text,
        `removed ${name("host/g", 2)}\nremoved ${name("host/g", 1)}\nremoved the group host/g\n`
      )
      assert.isFalse(existsSync(join(store, "host/g")))
    })
  )

  it.live("keeps what is protected, and the group with it", () =>
    Effect.gen(function* () {
      yield* make([name("host/p", 1), name("host/p", 2), name("host/p", 3)])
      assert.strictEqual((yield* granary(args("protect", name("host/p", 2)))).code, 0)
      const done = yield* granaryJson(args("forget", "host/p", "--yes"))
      assert.strictEqual(done.code, 1)
      assert.deepStrictEqual(
        done.json.map((each: Record<string, unknown>) => [each["snapshot"], each["removed"]]),
        [
          [name("host/p", 3), true],
          [name("host/p", 2), false],
          [name("host/p", 1), true]
        ]
      )
      assert.strictEqual((yield* granary(args("unprotect", name("host/p", 2)))).code, 0)
      assert.strictEqual((yield* granary(args("forget", "host/p", "--yes"))).code, 0)
    })
  )

  it.live("removes nothing while a backup runs in the group", () =>
    Effect.gen(function* () {
      yield* make([name("host/r", 1), name("host/s", 1)])
      const lock = Datastore.groupLockName(Namespace.root, BackupGroup.parse("host/r"))
      const alone = yield* holding(lock, "exclusive", granary(args("forget", "host/r", "--yes")))
      assert.deepStrictEqual([alone.code, alone.text], [1, ""])
      assert.match(alone.errors, /host\/r: another operation is working on this group/)
      const two = yield* holding(lock, "exclusive", granaryJson(args("forget", "host/r", "host/s", "--yes")))
      assert.strictEqual(two.code, 1)
      assert.deepStrictEqual(
        two.json.map((each: Record<string, unknown>) => [each["snapshot"], each["removed"]]),
        [
          [name("host/r", 1), false],
          [name("host/s", 1), true]
        ]
      )
    })
  )
})

describe("granary protect and notes", () => {
  it.live(
    "work in a namespace, on unfinished snapshots as far as that goes, and refuse what is missing",
    () =>
      Effect.gen(function* () {
        yield* make([name("host/x", 1), `u${name("host/x", 2)}`], "team")
        const inTeam = (...rest: ReadonlyArray<string>) => args(...rest, "--ns", "team")
        const done = yield* granaryJson(inTeam("protect", name("host/x", 1), name("host/x", 2)))
        assert.deepStrictEqual(done.json, [
          { snapshot: name("host/x", 1), protected: true },
          { snapshot: name("host/x", 2), protected: true }
        ])
        const noted = yield* granaryJson(inTeam("notes", "host/x", "a\nb"))
        assert.deepStrictEqual(noted.json, { snapshot: name("host/x", 1), notes: "a\nb" })
        const unfinished = yield* granary(inTeam("notes", name("host/x", 2), "text"))
        assert.deepStrictEqual([unfinished.code, unfinished.text], [1, ""])
        assert.match(unfinished.errors, /never finished/)
        for (const command of ["protect", "unprotect", "notes"]) {
          const missing = yield* granary(inTeam(command, name("host/x", 9)))
          assert.strictEqual(missing.code, 1)
          assert.match(missing.errors, /no such snapshot/)
        }
      })
  )
})
