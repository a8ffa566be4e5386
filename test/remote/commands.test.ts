/** Commands on a repository that is on a server: what they print, and how they end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { vi } from "vitest"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { granary, granaryJson } from "../cli/lookRun.ts"
import { start, until } from "../e2e/cli.ts"
import { scratchFolder } from "../platform/scratch.ts"
import * as scene from "../server/scene.ts"
import { connect, backUp } from "./backups.ts"
import { time } from "./reading.ts"

vi.mock("node:fs", async (original) => (await import("../cli/lookCapture.ts")).capturing(await original()))

interface Place {
  readonly made: scene.Scene
  readonly scratch: string
  readonly repository: string
  /** Flags that log in. */
  readonly flags: ReadonlyArray<string>
}

const place: Effect.Effect<Place, unknown, Scope.Scope> = Effect.gen(function* () {
  const made = yield* scene.make
  yield* Effect.promise(() => scene.backUp(made, "a", time))
  const scratch = yield* scratchFolder
  const secretFile = join(scratch, "secret")
  writeFileSync(secretFile, `${(made.admin["authorization"] ?? "").split(":").at(-1)}\n`)
  const repository = `${scene.adminId}@127.0.0.1:${made.port}:store1`
  const flags = ["-r", repository, "--password-file", secretFile, "--fingerprint", made.serving.fingerprint]
  return { made, scratch, repository, flags }
})

const withPlace = (title: string, test: (at: Place) => Effect.Effect<void, unknown, Scope.Scope>): void =>
  it.live(title, () => Effect.flatMap(place, test))

describe("on a server", () => {
  withPlace("looks, restores, compares and verifies", ({ flags, made, scratch }) =>
    Effect.gen(function* () {
      const source = join(scratch, "source")
      const fs = yield* Effect.promise(() => import("node:fs/promises"))
      yield* Effect.promise(() => fs.mkdir(join(source, "sub"), { recursive: true }))
      writeFileSync(join(source, "sub", "file"), "hello\n")
      yield* backUp(yield* connect(made), source)
      const listed = yield* granaryJson([...flags, "snapshots"])
      assert.strictEqual(listed.code, 0, listed.errors)
      const ids = (listed.json as ReadonlyArray<Readonly<Record<string, unknown>>>).map(
        (item) => item["backup-id"]
      )
      assert.includeMembers(ids, ["a"])
      assert.lengthOf(ids, 2)
      const own = String(ids.find((id) => id !== "a"))
      const snapshot = `host/${own}/latest`
      assert.include((yield* granary([...flags, "groups"])).text, scene.adminId)
      assert.strictEqual((yield* granary([...flags, "namespaces"])).code, 0)
      assert.include((yield* granary([...flags, "files", snapshot])).text, "root.pxar")
      assert.include((yield* granary([...flags, "ls", snapshot, "root.pxar", "sub"])).text, "file")
      assert.strictEqual(
        (yield* granary([...flags, "cat", snapshot, "root.pxar", "sub/file"])).text,
        "hello\n"
      )
      assert.include((yield* granary([...flags, "find", snapshot, "fi*"])).text, "sub/file")
      const target = join(scratch, "target")
      const restored = yield* granary([...flags, "restore", snapshot, "root.pxar", target])
      assert.strictEqual(restored.code, 0, restored.errors)
      assert.strictEqual(readFileSync(join(target, "sub", "file"), "utf8"), "hello\n")
      const verified = yield* granaryJson([...flags, "verify"])
      assert.strictEqual(verified.code, 0, verified.errors)
      assert.deepStrictEqual(
        [...new Set((verified.json as ReadonlyArray<{ state: string }>).map(({ state }) => state))],
        ["ok"]
      )
    })
  )

  withPlace("compares snapshots, and serves them as files to a browser", ({ flags, made, scratch }) =>
    Effect.gen(function* () {
      const source = join(scratch, "source")
      mkdirSync(source)
      const remote = yield* connect(made)
      writeFileSync(join(source, "file"), "hello\n")
      const before = (yield* backUp(remote, source)).summary.snapshot
      writeFileSync(join(source, "file"), "hello again\n")
      writeFileSync(join(source, "other"), "")
      const after = (yield* backUp(remote, source)).summary.snapshot
      const names = [before, after].map(Snapshot.format)
      const compared = yield* granary([...flags, "diff", ...names, "root.pxar"])
      assert.deepStrictEqual(compared.text.match(/[+M] .*/g), ["M  /file", "+  /other"])
      const running = start(["serve-files", ...flags, "--listen", "127.0.0.1:0", "--output", "json"])
      let printed = ""
      running.child.stdout?.on("data", (piece: Buffer) => (printed += piece.toString()))
      yield* Effect.promise(async () => {
        try {
          await until("the address", () => printed.endsWith("}\n") || running.child.exitCode !== null)
          const { url }: { url: string } = JSON.parse(printed)
          const answer = await fetch(`${url}${BackupGroup.format(before.group)}/latest/root.pxar/file`)
          assert.strictEqual(await answer.text(), "hello again\n")
        } finally {
          running.child.kill("SIGINT")
          const ended = await running.ended
          assert.strictEqual(ended.code, 0, ended.errors)
        }
      })
    })
  )

  withPlace("cares for snapshots by calls of the server", ({ flags, made }) =>
    Effect.gen(function* () {
      const snapshot = "host/a/2025-06-15T15:06:40Z"
      assert.strictEqual((yield* granary([...flags, "notes", snapshot, "keep me"])).code, 0)
      assert.strictEqual((yield* granary([...flags, "notes", snapshot])).text, "keep me\n")
      assert.strictEqual((yield* granary([...flags, "protect", snapshot])).code, 0)
      const kept = yield* granary([...flags, "forget", snapshot])
      assert.strictEqual(kept.code, 1)
      assert.include(kept.errors, "protected")
      assert.strictEqual((yield* granary([...flags, "unprotect", snapshot])).code, 0)
      yield* Effect.promise(() => scene.backUp(made, "a", time + 60))
      const pruned = yield* granary([...flags, "prune", "host/a", "--keep-last", "1"])
      assert.strictEqual(pruned.code, 0, pruned.errors)
      assert.isFalse(existsSync(join(made.base, snapshot)))
      assert.isTrue(existsSync(join(made.base, "host/a/2025-06-15T15:07:40Z")))
      const gone = yield* granary([...flags, "forget", "host/a", "--yes"])
      assert.strictEqual(gone.code, 0, gone.errors)
      assert.isFalse(existsSync(join(made.base, "host/a/2025-06-15T15:07:40Z")))
    })
  )

  withPlace("refuses in one line what cannot be done there", ({ flags }) =>
    Effect.gen(function* () {
      for (const [words, text] of [
        [["gc"], "garbage collection cannot be done over the network"],
        [["verify", "--depth", "listed"], "looking for chunks cannot be done over the network"],
        [["s3-refresh"], "bucket"]
      ] as const) {
        const { code, errors } = yield* granary([...flags, ...words])
        assert.notStrictEqual(code, 0)
        assert.include(errors, text)
        assert.lengthOf(errors.trim().split("\n"), 1)
      }
    })
  )

  withPlace(
    "says what is wrong with the login, the certificate and the names",
    ({ flags, made, repository, scratch }) =>
      Effect.gen(function* () {
        const login = flags.slice(2)
        const wrong = join(scratch, "wrong")
        writeFileSync(wrong, "not-the-secret\n")
        const pin = ["--fingerprint", made.serving.fingerprint]
        const refused = yield* granary(["-r", repository, ...pin, "--password-file", wrong, "snapshots"])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.errors, "authentication failed")
        assert.notInclude(refused.errors, "not-the-secret")
        const asked: Array<string> = []
        yield* granary(["-r", repository, ...pin, "snapshots"], (question) => {
          asked.push(question)
          return Effect.succeed("x")
        })
        assert.deepStrictEqual(asked, [`Password of ${scene.adminId}: `])
        const nobody = yield* granary(["-r", repository, ...pin, "snapshots"])
        assert.strictEqual(nobody.code, 2)
        assert.include(nobody.errors, "PBS_PASSWORD")
        const unpinned = yield* granary(["-r", repository, "--password-file", wrong, "snapshots"])
        assert.include(unpinned.errors, made.serving.fingerprint)
        const unknown = yield* granary(["-r", repository.replace("store1", "store2"), ...login, "snapshots"])
        assert.include(unknown.errors, "store2")
        const bad = yield* granary(["-r", "root@pam@host:99999:store1", ...login, "snapshots"])
        assert.strictEqual(bad.code, 2)
        assert.include(bad.errors, "port")
      })
  )
})
