/** Backups that end in the middle, and backups that meet: nothing half-finished counts, and the next one works. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { closeSync, existsSync, mkdirSync, openSync, truncateSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import {
  assertFails,
  fastFolder,
  feed,
  granary,
  makeStore,
  type Running,
  snapshotFolders,
  snapshotsIn,
  start,
  succeed,
  temporaryFiles,
  until,
  workFolder
} from "./cli.ts"

const MIB = 1024 * 1024
const fast = fastFolder()
const work = workFolder()
const source = path.join(work.path, "source")
let store = ""

beforeAll(async () => {
  mkdirSync(source)
  writeFileSync(path.join(source, "file"), "content")
  store = makeStore(fast.path)
})
afterAll(() => {
  fast.remove()
  work.remove()
})

const backup = (id: string, ...archives: ReadonlyArray<string>) => [
  "backup",
  "-r",
  store,
  "--backup-id",
  id,
  ...archives
]

const nextBackup = async (id: string): Promise<string> => {
  const { errors } = await succeed(backup(id, `source.pxar:${source}`))
  const listed = await snapshotsIn(store, `host/${id}`)
  const finished = listed.filter(({ files }) => files.some(({ filename }) => filename === "source.pxar.didx"))
  assert.strictEqual(finished.length, 1)
  return errors
}

/** It is in the middle: its snapshot's folder is there, and some of its content has been taken. */
const untilBusy = async (id: string): Promise<void> => {
  await until("the snapshot's folder", () => snapshotFolders(store, `host/${id}`).length > 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
}

const assertNoTrace = (id: string): void => {
  assert.deepStrictEqual(snapshotFolders(store, `host/${id}`), [])
  assert.deepStrictEqual(temporaryFiles(store), [])
}

describe("an interrupt", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("by %s in the middle of an endless stream", async (signal) => {
    const id = `stream-${signal}`
    const inputFd = openSync("/dev/urandom", "r")
    const running = start(backup(id, "disk.img:-"), { inputFd })
    closeSync(inputFd)
    await untilBusy(id)
    running.child.kill(signal)
    const { code, errors } = await running.ended
    assert.strictEqual(code, 130, errors)
    assert.match(errors, /^interrupted: .+\n$/)
    assertNoTrace(id)
    assert.strictEqual(await nextBackup(id), "")
  })

  it("while the program waits for its input", async () => {
    const running = start(backup("waiting", `source.pxar:${source}`, "disk.img:-"))
    await feed(running, randomBytes(9 * MIB))
    await untilBusy("waiting")
    running.child.kill("SIGINT")
    assert.strictEqual((await running.ended).code, 130)
    assertNoTrace("waiting")
    await nextBackup("waiting")
  })

  it("in the middle of a directory", async () => {
    const big = path.join(work.path, "big")
    mkdirSync(big)
    writeFileSync(path.join(big, "file"), "")
    truncateSync(path.join(big, "file"), 256 * 1024 * MIB)
    const running = start(backup("directory", `big.pxar:${big}`))
    running.child.stdin?.end()
    await untilBusy("directory")
    running.child.kill("SIGINT")
    assert.strictEqual((await running.ended).code, 130)
    assertNoTrace("directory")
    await nextBackup("directory")
  })

  it("leaves the snapshots before it alone", async () => {
    await nextBackup("before")
    const running = start(backup("before", "disk.img:-"))
    await until("the second snapshot's folder", () => snapshotFolders(store, "host/before").length === 2)
    running.child.kill("SIGINT")
    await running.ended
    assert.strictEqual(snapshotFolders(store, "host/before").length, 1)
    await succeed(["verify", "-r", store, "host/before"])
  })
})

describe("a killed backup", () => {
  it("is never listed as finished; the next one works and names it", async () => {
    const running = start(backup("killed", `early.pxar:${source}`, "disk.img:-"))
    await feed(running, randomBytes(20 * MIB))
    await untilBusy("killed")
    running.child.kill("SIGKILL")
    await running.ended
    const [leftover] = snapshotFolders(store, "host/killed")
    assert.isDefined(leftover)
    const name = `host/killed/${leftover}`
    assert.isFalse(existsSync(path.join(store, name, "index.json.blob")))

    const restore = ["restore", "-r", store, name, "early.pxar", path.join(work.path, "early")]
    assertFails(await granary(restore), 1, /never finished.*granary forget/)
    const latest = ["restore", "-r", store, "host/killed", "early.pxar", path.join(work.path, "early")]
    assertFails(await granary(latest), 1, /no finished snapshot/)
    const verified = await succeed(["verify", "-r", store, "host/killed"])
    assert.match(verified.text, /1 unfinished snapshot passed over/)

    const warnings = await nextBackup("killed")
    assert.match(warnings, new RegExp(`^warning: ${name}: .*granary forget ${name}`, "m"))
    await succeed(["forget", "-r", store, name])
    assert.strictEqual(snapshotFolders(store, "host/killed").length, 1)
    await succeed(["verify", "-r", store, "host/killed"])
  })
})

describe("two backups at once", () => {
  let first: Running
  const content = randomBytes(6 * MIB)

  beforeAll(async () => {
    first = start(backup("both", "disk.img:-"))
    await feed(first, content)
    await untilBusy("both")
  })

  it("of one group: the second one is told", async () => {
    const second = await granary(backup("both", `source.pxar:${source}`))
    assertFails(second, 1, /host\/both: another backup of this group is running/)
    assert.strictEqual(snapshotFolders(store, "host/both").length, 1)
  })

  it("of two groups: both are made", async () => {
    await nextBackup("neighbour")
  })

  it("keep the one in the making from being forgotten", async () => {
    const [name] = snapshotFolders(store, "host/both")
    const ended = await granary(["forget", "-r", store, `host/both/${name}`])
    assertFails(ended, 1, /host\/both/)
    assert.strictEqual(snapshotFolders(store, "host/both").length, 1)
  })

  it("and the first one ends well", async () => {
    first.child.stdin?.end()
    const { code, errors } = await first.ended
    assert.strictEqual(code, 0, errors)
    const back = await succeed(["restore", "-r", store, "host/both", "disk.img", "-"])
    assert.isTrue(back.output.equals(content))
  })
})
