/** `granary datastore`, and datastores by their configured names: what is kept, what is told, and who is let in. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as Datastores from "../../src/datastores/Datastores.ts"
import { assertFails, type Ended, fastFolder, type Folder } from "../e2e/cli.ts"
import { platform } from "../store/stores.ts"
import { commandsIn } from "./inProcess.ts"

let folder: Folder
beforeAll(() => {
  folder = fastFolder()
  writeFileSync(path.join(folder.path, "a.conf"), "content")
})
afterAll(() => folder.remove())

const { inFolder, run, succeed } = commandsIn(() => folder)
const configFile = (): string => inFolder("config/granary/datastore.cfg")

const document = async (...args: ReadonlyArray<string>): Promise<unknown> => {
  const { text } = await succeed(...args, "--output", "json")
  return JSON.parse(text)
}

const backUp = (name: string, id: string): Promise<Ended> =>
  run("backup", "-r", name, "--backup-id", id, `a.conf:${inFolder("a.conf")}`)

const made: Array<string> = []

/** Makes a datastore of this name, unless that was done before. */
const ensure = async (name: string): Promise<string> => {
  if (!made.includes(name)) await succeed("datastore", "create", name, inFolder(`stores/${name}`))
  made.push(name)
  return inFolder(`stores/${name}`)
}

describe("datastores in the configuration", () => {
  it("are made, listed, shown and changed, with the names of their keys", async () => {
    const place = inFolder("stores/main1")
    const wanted = ["--comment", "the first", "--gc-schedule", "daily", "--keep-last", "3", "--verify-new"]
    const created = await document("datastore", "create", "main1", place, ...wanted)
    const section = {
      name: "main1",
      path: place,
      comment: "the first",
      "gc-schedule": "daily",
      "keep-last": 3,
      "verify-new": true
    }
    assert.deepStrictEqual(created, section)
    assert.deepStrictEqual(await document("datastore", "show", "main1"), section)
    assert.deepInclude(await document("datastore", "list"), section)
    assert.isTrue(existsSync(path.join(place, ".chunks")))
    assert.match(readFileSync(configFile(), "utf8"), /^datastore: main1\n(?:\t.*\n)*\tgc-schedule daily\n/m)

    const changes = ["--gc-schedule", "sat 4:00", "--delete", "comment"]
    const changed = await document("datastore", "update", "main1", ...changes)
    assert.notProperty(changed, "comment")
    assert.propertyVal(changed, "gc-schedule", "sat 4:00")
    assert.propertyVal(changed, "keep-last", 3)
    const { text } = await succeed("datastore", "list")
    assert.match(text, /^main1 +\S+main1 +filesystem +sat 4:00$/m)
  })

  it("can be ones that are there", async () => {
    const place = await ensure("there")
    await succeed("datastore", "remove", "there")
    assert.isTrue(existsSync(path.join(place, ".chunks")))
    assertFails(await run("datastore", "create", "again", place), 1, /stores\/there: .*empty/)
    await succeed("datastore", "create", "again", place, "--reuse")
    await succeed("snapshots", "-r", "again")
    const nothing = inFolder("nothing")
    assertFails(
      await run("datastore", "create", "other", nothing, "--reuse"),
      1,
      /nothing: .*not a datastore/
    )
    assertFails(await run("datastore", "show", "other"), 1, /other: there is no such datastore/)
  })

  it("are refused with one clear line", async () => {
    const place = await ensure("first")
    const create = (name: string, where: string, ...rest: ReadonlyArray<string>) =>
      run("datastore", "create", name, where, ...rest)
    assertFails(await create("first", inFolder("stores/x")), 1, /first: .*has a section of this name/)
    assertFails(await create("within", `${place}/below`), 1, /lies within the folder of datastore first/)
    assertFails(
      await create("xy", inFolder("stores/xy")),
      1,
      /this is no name for a datastore: expected 3 to 32/
    )
    assertFails(await create("bad", inFolder("bad"), "--gc-schedule", "often"), 2, /bad schedule "often"/)
    assertFails(await create("bad", inFolder("bad"), "--keep-last", "many"), 1, /keep-last, found "many"/)
    const cloud = "type=s3,client=nobody,bucket=backups"
    assertFails(await create("bad", inFolder("bad"), "--backend", cloud), 1, /no such endpoint|no endpoint/)
    assertFails(await create("bad", inFolder("bad"), "--overwrite-in-use"), 2, /for datastores in buckets/)
    assert.isFalse(existsSync(inFolder("bad")))
    assertFails(await run("datastore", "update", "first"), 2, /nothing to change was given/)
    assertFails(
      await run("datastore", "update", "first", "--delete", "path"),
      1,
      /stays what it was made with/
    )
    assertFails(await run("datastore", "show", "frist"), 1, /no such datastore .*did you mean first\?/)
  })

  it("are removed by their name alone, or with all that is in them when somebody says yes", async () => {
    const place = await ensure("gone")
    await backUp("gone", "a")
    assertFails(
      await run("datastore", "remove", "gone", "--destroy-data"),
      2,
      /with all of its backups .*--yes/
    )
    const both = await run("datastore", "remove", "gone", "--destroy-data", "--keep-data", "--yes")
    assertFails(both, 2, /contradict each other/)
    const removed = await document("datastore", "remove", "gone", "--destroy-data", "--yes")
    assert.deepStrictEqual(removed, { name: "gone", removed: true, "destroyed-data": true })
    assert.isFalse(existsSync(place))
    assertFails(await run("snapshots", "-r", "gone"), 1, /gone: there is no such datastore/)
  })
})

/** Runs something while this process reads the datastore, as others on this host would. */
const whileReading = (name: string, use: () => Promise<void>): Promise<void> =>
  Effect.gen(function* () {
    const { lookup } = yield* Datastores.make({ folder: inFolder("config/granary") })
    yield* lookup(name, "read")
    yield* Effect.promise(use)
  }).pipe(Effect.scoped, Effect.provide(platform), Effect.runPromise)

describe("others who are at work", () => {
  it("are counted, and keep a datastore from being removed", async () => {
    const place = await ensure("busy")
    await whileReading("busy", async () => {
      const { text } = await succeed("datastore", "status", "busy")
      assert.match(text, /^at work +1 reading, 0 writing$/m)
      const refused = await run("datastore", "remove", "busy", "--destroy-data", "--yes", "--wait", "0")
      assertFails(refused, 1, /busy: others are still at work in it \(1 reading, 0 writing\)/)
      assertFails(await run("snapshots", "-r", "busy"), 1, /busy: it is being deleted/)
      const leaving = await run("datastore", "maintenance", "busy", "none")
      assertFails(leaving, 1, /being deleted: its maintenance mode cannot be changed/)
      const all = await document("datastore", "status")
      assert.deepInclude(all, { store: "busy", error: "busy: it is being deleted" })
      assert.isTrue(existsSync(place))
    })
    await succeed("datastore", "remove", "busy", "--destroy-data", "--yes")
    assert.isFalse(existsSync(place))
  })
})

describe("a configured name as --repository", () => {
  it("does what the folder's path does", async () => {
    const place = await ensure("named")
    assert.strictEqual((await backUp("named", "a")).code, 0)
    const byName = await document("snapshots", "-r", "named")
    assert.lengthOf(byName as ReadonlyArray<unknown>, 1)
    assert.deepStrictEqual(byName, await document("snapshots", "-r", place))
    const collected = await succeed("gc", "-r", "named", "--plan")
    assert.match(collected.text, /would remove: 0 chunks/)
  })

  it("says which name may have been meant", async () => {
    await ensure("named")
    assertFails(
      await run("snapshots", "-r", "namde"),
      1,
      /namde: there is no such datastore .*did you mean named\?/
    )
    assertFails(await run("snapshots", "-r", "user@pbs@ho st:store"), 2, /bad repository/)
  })

  it("is a folder when there is one of this name", async () => {
    const place = await ensure("named")
    const before = process.cwd()
    mkdirSync(inFolder("work"))
    process.chdir(inFolder("work"))
    try {
      mkdirSync("named")
      assertFails(await run("snapshots", "-r", "named"), 1, /named: .*not a datastore/)
      rmSync("named", { recursive: true })
      await succeed("snapshots", "-r", place)
      await succeed("snapshots", "-r", "named")
    } finally {
      process.chdir(before)
    }
  })

  it("lets in whom the maintenance mode lets in", async () => {
    await ensure("kept")
    assert.strictEqual((await backUp("kept", "a")).code, 0)
    const set = await succeed(
      "datastore",
      "maintenance",
      "kept",
      "read-only",
      "--message",
      "moving, 50 % done"
    )
    assert.match(set.text, /kept: read-only maintenance mode: moving, 50 % done; at work in it: nobody/)
    await succeed("snapshots", "-r", "kept")
    await succeed("verify", "-r", "kept")
    await succeed("prune", "-r", "kept", "--keep-last", "1", "--dry-run")
    const refused = /kept: read-only maintenance mode: moving, 50 % done/
    assertFails(await backUp("kept", "b"), 1, refused)
    assertFails(await run("prune", "-r", "kept", "--keep-last", "1"), 1, refused)
    assertFails(await run("forget", "-r", "kept", "host/a", "--yes"), 1, refused)
    assertFails(await run("gc", "-r", "kept"), 1, refused)

    await succeed("datastore", "maintenance", "kept", "offline")
    assertFails(await run("snapshots", "-r", "kept"), 1, /kept: offline maintenance mode/)
    await succeed("datastore", "status", "kept")
    assertFails(await run("datastore", "maintenance", "kept", "--message", "x"), 2, /--message is for a mode/)
    await succeed("datastore", "maintenance", "kept", "none")
    const shown = await succeed("datastore", "maintenance", "kept")
    assert.match(shown.text, /kept is in no maintenance mode/)
    assert.strictEqual((await backUp("kept", "b")).code, 0)
  })

  it("has a status of its own, also among many", async () => {
    await ensure("named")
    const place = await ensure("lost")
    rmSync(place, { recursive: true })
    const status = (await document("datastore", "status", "named")) as Record<string, unknown>
    assert.deepInclude(status, { store: "named", "backend-type": "filesystem", "maintenance-mode": null })
    assert.deepStrictEqual(status["active-operations"], { read: 0, write: 0 })
    assert.isAbove(Number(status["total"]), 0)
    const all = (await document("datastore", "status")) as ReadonlyArray<Record<string, unknown>>
    assert.deepInclude(all.find(({ store }) => store === "lost") ?? {}, { total: null })
    const { text } = await succeed("datastore", "status")
    assert.match(text, /^lost .*No such file|^lost .*does not exist|^lost .*not found/im)
    assertFails(await run("datastore", "status", "name"), 1, /did you mean named\?/)
    await succeed("datastore", "remove", "lost")
  })
})
