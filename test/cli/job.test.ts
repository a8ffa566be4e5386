/** `granary job`: jobs in the configuration, their runs, and what the machine's scheduler is told of them. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { assertFails, fastFolder, type Folder, makeStore } from "../e2e/cli.ts"
import { commandsIn } from "./inProcess.ts"

let folder: Folder

const { inFolder, run, succeed } = commandsIn(() => folder)

const document = async <A = unknown>(...args: ReadonlyArray<string>): Promise<A> => {
  const { text } = await succeed(...args, "--output", "json")
  return JSON.parse(text)
}

const backUp = (number: number) => {
  const time = ["--backup-time", `2026-11-0${number}T10:00:00Z`]
  return succeed("backup", "-r", "main1", "--backup-id", "a", ...time, `a.conf:${inFolder("a.conf")}`)
}

beforeAll(async () => {
  folder = fastFolder()
  writeFileSync(inFolder("a.conf"), "content")
  await succeed("datastore", "create", "main1", makeStore(folder.path, "main"), "--reuse")
  for (const number of [1, 2, 3]) await backUp(number)
})
afterAll(() => folder.remove())

describe("granary job", () => {
  it("keeps jobs of each kind, with the names of their keys", async () => {
    const more = ["--schedule", "daily", "--ns", "team", "--remote-ns", "copies", "--worker-threads", "4"]
    const filters = ["--group-filter", "type:vm", "--group-filter", "exclude:group:vm/100"]
    const ends = ["--store", "main1", "--remote-store", "other"]
    const created = await document("job", "sync", "create", "offsite", ...ends, ...more, ...filters)
    const section = {
      id: "offsite",
      store: "main1",
      ns: "team",
      schedule: "daily",
      "remote-store": "other",
      "remote-ns": "copies",
      "group-filter": ["type:vm", "exclude:group:vm/100"],
      "worker-threads": 4
    }
    assert.deepStrictEqual(created, section)
    assert.deepStrictEqual(await document("job", "sync", "show", "offsite"), section)
    assert.deepStrictEqual(await document("job", "sync", "list"), [section])
    const file = readFileSync(inFolder("config/granary/sync.cfg"), "utf8")
    assert.match(
      file,
      /^sync: offsite\n(?:\t.*\n)*\tgroup-filter type:vm\n\tgroup-filter exclude:group:vm\/100\n/m
    )
    const changed = await document<object>(
      "job",
      "sync",
      "update",
      "offsite",
      "--remove-vanished",
      "--delete",
      "schedule"
    )
    assert.deepInclude(changed, { "remove-vanished": true, "worker-threads": 4 })
    assert.notProperty(changed, "schedule")
    const { text } = await succeed("job", "sync", "list")
    assert.match(text, /^offsite +main1 .*group-filter type:vm exclude:group:vm\/100, ns team/m)
    await succeed("job", "sync", "remove", "offsite")
    assert.deepStrictEqual(await document("job", "sync", "list"), [])
    assert.match((await succeed("job", "prune", "list")).text, /^no prune jobs$/m)
  })

  it("refuses what makes no sense with one clear line", async () => {
    const create = (kind: string, ...rest: ReadonlyArray<string>) =>
      run("job", kind, "create", "bad", ...rest)
    const store = ["--store", "main1"]
    assertFails(await create("verify"), 1, /expected a value for store/)
    assertFails(await create("verify", "--store", "mian1"), 1, /no such datastore .*did you mean main1\?/)
    assertFails(await create("verify", ...store, "--schedule", "often"), 2, /bad schedule "often"/)
    assertFails(await create("prune", ...store, "--keep-last", "3"), 1, /expected a value for schedule/)
    assertFails(
      await create("sync", ...store, "--remote-store", "main1"),
      1,
      /another datastore than the job's own/
    )
    const filter = ["--remote-store", "other", "--group-filter", "vm"]
    assertFails(await create("sync", ...store, ...filter), 2, /bad group filter "vm"/)
    assertFails(await run("job", "sync", "update", "none"), 2, /nothing to change was given/)
    assertFails(await run("job", "verify", "run", "none"), 1, /none: there is no such verify job/)
    assertFails(await run("job", "prune", "remove", "none"), 1, /none: there is no such prune job/)
    assert.deepStrictEqual(await document("job", "verify", "list"), [])
  })

  it("runs verifications and prunes as they are configured", async () => {
    await succeed("job", "verify", "create", "check", "--store", "main1", "--outdated-after", "30")
    const first = await succeed("job", "verify", "run", "check")
    assert.lengthOf(first.text.match(/^ok +host\/a\//gm) ?? [], 3)
    const again = await document<ReadonlyArray<unknown>>("job", "verify", "run", "check")
    assert.lengthOf(again, 0, "what was verified is passed over by default")

    const keep = ["--keep-last", "1", "--schedule", "daily"]
    await succeed("job", "prune", "create", "tidy", "--store", "main1", ...keep)
    const shown = await succeed("job", "prune", "run", "tidy", "--dry-run")
    assert.match(shown.text, /would keep 1 snapshot, would remove 2/)
    assert.lengthOf(await document<ReadonlyArray<unknown>>("snapshots", "-r", "main1"), 3)
    const done = await succeed("job", "prune", "run", "tidy")
    assert.match(done.text, /^kept 1 snapshot, removed 2$/m)
    assert.lengthOf(await document<ReadonlyArray<unknown>>("snapshots", "-r", "main1"), 1)

    await succeed("datastore", "maintenance", "main1", "read-only")
    assertFails(await run("job", "prune", "run", "tidy"), 1, /main1: read-only maintenance mode/)
    await succeed("datastore", "maintenance", "main1", "none")
    await succeed("job", "verify", "remove", "check")
    await succeed("job", "prune", "remove", "tidy")
  })
})

interface UnitFile {
  readonly name: string
  readonly content: string
}

const configure = async (): Promise<void> => {
  await succeed("datastore", "update", "main1", "--gc-schedule", "sat 4:00")
  const ends = ["--store", "main1", "--remote-store", "other"]
  await succeed("job", "sync", "create", "offsite", ...ends, "--schedule", "0/30")
  await succeed("job", "sync", "create", "byhand", ...ends)
  await succeed("job", "sync", "create", "foreign", ...ends, "--remote", "pbs1", "--schedule", "daily")
  await succeed("job", "verify", "create", "check", "--store", "main1", "--schedule", "sun *-1..7 3:00")
  const prune = ["--store", "main1", "--keep-last", "2", "--schedule", "daily"]
  await succeed("job", "prune", "create", "tidy", ...prune)
  await succeed("job", "prune", "create", "resting", ...prune, "--disable")
}

describe("granary job timers", () => {
  it("says so when there is nothing to run", async () => {
    assert.match((await succeed("job", "timers")).text, /^# nothing in the configuration has a schedule$/m)
  })

  it("prints units for systemd, or writes them", async () => {
    await configure()
    const units = await document<ReadonlyArray<UnitFile>>(
      "job",
      "timers",
      "--program",
      "/opt/50% off/granary"
    )
    const names = units.map(({ name }) => name)
    const stems = ["sync-offsite", "verify-check", "prune-tidy", "gc-main1"].map((stem) => `granary-${stem}`)
    assert.deepStrictEqual(
      names,
      stems.flatMap((stem) => [`${stem}.service`, `${stem}.timer`])
    )
    const [service, timer] = units
    const config = inFolder("config/granary")
    const start = `ExecStart="/opt/50%% off/granary" sync run offsite --config-dir ${config}`
    assert.include(service!.content.split("\n"), start)
    assert.include(service!.content.split("\n"), "Type=oneshot")
    assert.include(timer!.content.split("\n"), "OnCalendar=*-*-* *:00/30:00")
    assert.include(timer!.content.split("\n"), "WantedBy=timers.target")
    assert.match(units[6]!.content, /^ExecStart=.* gc -r main1 --config-dir/m)

    const { text } = await succeed("job", "timers")
    assert.match(text, /^# granary-sync-offsite\.timer$/m)
    const wrote = await succeed("job", "timers", "--to", inFolder("units"))
    assert.match(
      wrote.text,
      /wrote 8 units into .*\n.*enable --now granary-sync-offsite\.timer granary-verify/
    )
    assert.deepStrictEqual(readdirSync(inFolder("units")).toSorted(), names.toSorted())
  })

  it("prints lines for cron that a shell understands", async () => {
    const echo = inFolder("it's 100% echo")
    writeFileSync(echo, '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 })
    const { text } = await succeed("job", "timers", "--cron", "--program", echo)
    const lines = text.trim().split("\n")
    assert.lengthOf(lines, 4)
    assert.isTrue(lines[0]!.startsWith("*/30 * * * * '"))
    assert.include(lines[0]!, "100\\% echo")
    assert.match(lines[1]!, /^0 3 1-7 \* \* date \+\\%u \| grep -q '\[7\]' && '/)
    // As cron hands it to the shell: an escaped percent sign is one.
    const command = lines[0]!.split(" ").slice(5).join(" ").replaceAll("\\%", "%")
    const said = execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" })
    const args = ["sync", "run", "offsite", "--config-dir", inFolder("config/granary")]
    assert.deepStrictEqual(said.trim().split("\n"), args)
  })
})
