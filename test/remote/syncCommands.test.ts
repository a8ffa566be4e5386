/** `granary backup`, `granary sync` and `granary remote` with a server: what they do, what they tell, how they end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { commandsIn } from "../cli/inProcess.ts"
import { fastFolder, makeStore } from "../e2e/cli.ts"
import * as scene from "../server/scene.ts"

interface Place {
  readonly made: scene.Scene
  readonly repository: string
  readonly flags: ReadonlyArray<string>
  readonly commands: ReturnType<typeof commandsIn>
}

const place: Effect.Effect<Place, unknown, Scope.Scope> = Effect.gen(function* () {
  const made = yield* scene.make
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fastFolder()),
    (opened) => Effect.sync(() => opened.remove())
  )
  const commands = commandsIn(() => folder)
  const secret = commands.inFolder("secret")
  writeFileSync(secret, `${(made.admin["authorization"] ?? "").split(":").at(-1)}\n`)
  mkdirSync(commands.inFolder("tree"))
  writeFileSync(commands.inFolder("tree/file"), "some text\n")
  writeFileSync(commands.inFolder("note"), "a note")
  return {
    made,
    repository: `${scene.adminId}@127.0.0.1:${made.port}:store1`,
    flags: ["--password-file", secret, "--fingerprint", made.serving.fingerprint],
    commands
  }
})

const live = (title: string, test: (at: Place) => Promise<void>): void =>
  it.live(title, () => Effect.flatMap(place, (at) => Effect.promise(() => test(at))))

describe("with a server", () => {
  live("backs up, pulls and pushes", async ({ commands, flags, made, repository }) => {
    const { inFolder, run, succeed } = commands
    const archives = [`root.pxar:${inFolder("tree")}`, `note.conf:${inFolder("note")}`]
    const backUp = (...rest: ReadonlyArray<string>) =>
      succeed("backup", "-r", repository, ...flags, "--backup-id", "a", ...archives, ...rest)
    const first = JSON.parse((await backUp("--output", "json", "--backup-time", "1700000000")).text)
    assert.strictEqual(first.snapshot, "host/a/2023-11-14T22:13:20Z")
    assert.include((await backUp("--backup-time", "1700000100")).text, "is complete")
    assert.deepStrictEqual(
      first.files.map(({ filename }: { readonly filename: string }) => filename),
      ["root.pxar.didx", "note.conf.blob", "catalog.pcat1.didx"]
    )

    const target = makeStore(inFolder("."), "target")
    const pulled = await succeed(
      "sync",
      "pull",
      "--from",
      repository,
      "--to",
      target,
      ...flags,
      "--output",
      "json"
    )
    assert.deepInclude(JSON.parse(pulled.text), { snapshots: 2, "failed-groups": 0 })
    await succeed("backup", "-r", target, "--backup-id", "b", ...archives, "--backup-time", "1700000200")
    const pushed = await succeed(
      "sync",
      "push",
      "--from",
      target,
      "--to",
      repository,
      ...flags,
      "--output",
      "json"
    )
    assert.deepInclude(JSON.parse(pushed.text), { snapshots: 1, "failed-groups": 0 })
    const folder = "host/b/2023-11-14T22:16:40Z"
    assert.include(scene.namesIn(made.base, folder) ?? [], "index.json.blob")
    assert.include(readFileSync(path.join(made.base, "host/b/owner"), "utf8"), scene.adminId)

    const plan = await run("backup", "-r", repository, ...flags, ...archives, "--plan")
    assert.strictEqual(plan.code, 2)
    assert.match(
      plan.errors,
      /^error: --plan is not for .*store1: a server does not tell .*\(leave it out\)\n$/
    )
    const into = await run("sync", "pull", "--from", target, "--to", repository, ...flags)
    assert.strictEqual(into.code, 2)
    assert.match(into.errors, /^error: a pull cannot go to a server: .*\(use: granary sync push\)\n$/)
    const early = await run(
      "backup",
      "-r",
      repository,
      ...flags,
      "--backup-id",
      "a",
      ...archives,
      "--backup-time",
      "9"
    )
    assert.match(
      early.errors,
      /^error: host\/a\/.*: the group has a snapshot of .*\(use a later --backup-time\)\n$/
    )
    assert.strictEqual(early.code, 1)
  })

  live("runs jobs with a remote, whose secret nobody sees", async ({ commands, flags, made }) => {
    const { inFolder, run, succeed } = commands
    const config = ["--config-dir", inFolder("config")]
    const remote = (...args: ReadonlyArray<string>) => succeed("remote", ...args, ...config)
    const login = ["--host", "127.0.0.1", "--port", String(made.port), "--auth-id", scene.adminId]
    await remote("create", "offsite", ...login, ...flags, "--comment", "the other house")
    const file = readFileSync(inFolder("config/remote.cfg"), "utf8")
    const secret = (made.admin["authorization"] ?? "").split(":").at(-1) ?? ""
    assert.include(file, "remote: offsite\n")
    assert.include(file, `\tpassword ${Buffer.from(secret).toString("base64")}\n`)
    for (const shown of [await remote("show", "offsite"), await remote("list", "--output", "json")]) {
      assert.include(shown.text, scene.adminId)
      assert.notInclude(shown.text, secret)
      assert.notInclude(shown.text, Buffer.from(secret).toString("base64"))
    }

    await succeed("datastore", "create", "here", inFolder("here"), ...config)
    await succeed("backup", "-r", "here", "--backup-id", "a", `note.conf:${inFolder("note")}`, ...config)
    const job = ["--store", "here", "--remote", "offsite", "--remote-store", "store1"]
    await succeed("job", "sync", "create", "away", ...job, "--sync-direction", "push", ...config)
    const pushed = await succeed("sync", "run", "away", "--output", "json", ...config)
    assert.deepInclude(JSON.parse(pushed.text), { snapshots: 1, "failed-groups": 0 })
    const kept = await run("remote", "remove", "offsite", ...config)
    assert.match(
      kept.errors,
      /^error: offsite: sync job away is with this remote \(remove the job first: .*\)\n$/
    )

    await succeed("datastore", "create", "copy", inFolder("copy"), ...config)
    const back = ["--store", "copy", "--remote", "offsite", "--remote-store", "store1"]
    await succeed("job", "sync", "create", "home", ...back, ...config)
    const pulled = await succeed("job", "sync", "run", "home", "--output", "json", ...config)
    assert.deepInclude(JSON.parse(pulled.text), { snapshots: 1, "failed-groups": 0 })

    writeFileSync(inFolder("wrong"), "wrong\n")
    await remote("update", "offsite", "--secret", "--password-file", inFolder("wrong"))
    const denied = await run("sync", "run", "home", ...config)
    assert.strictEqual(denied.code, 1)
    assert.match(denied.errors, /authentication failed/)
    const unknown = await run("remote", "show", "offsit", ...config)
    assert.match(unknown.errors, /did you mean offsite\?/)
    await succeed("job", "sync", "remove", "away", ...config)
    await succeed("job", "sync", "remove", "home", ...config)
    await remote("remove", "offsite")
    assert.include((await remote("list")).text, "no remotes")
  })
})
