/** Disks that are full or read-only, as small file systems in memory that only root can make. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import {
  assertFails,
  type Folder,
  granary,
  isRoot,
  isSame,
  makeStore,
  snapshotFolders,
  snapshotsIn,
  succeed,
  temporaryFiles,
  workFolder
} from "./cli.ts"

const MIB = 1024 * 1024
let folder: Folder
const inFolder = (...parts: ReadonlyArray<string>): string => path.join(folder.path, ...parts)
const mounted: Array<string> = []

const mount = (name: string, sizeMebibytes: number): string => {
  const place = inFolder(name)
  mkdirSync(place)
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMebibytes}m,nr_inodes=200k`, "tmpfs", place])
  mounted.push(place)
  return place
}

const remount = (place: string, option: string): void => {
  execFileSync("mount", ["-o", `remount,${option}`, place])
}

const tryMount = (): boolean => {
  if (!isRoot) return false
  const place = workFolder()
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", place.path]).status === 0
  if (isMounted) spawnSync("umount", [place.path])
  place.remove()
  return isMounted
}

const canMount = tryMount()

const makeNoise = (name: string, sizeMebibytes: number): string => {
  mkdirSync(inFolder(name))
  for (let part = 0; part < sizeMebibytes; part += 4) {
    writeFileSync(inFolder(name, `part-${part}`), randomBytes(4 * MIB))
  }
  return inFolder(name)
}

beforeAll(() => {
  folder = workFolder()
})
afterAll(() => {
  for (const place of mounted) spawnSync("umount", [place])
  folder.remove()
})

describe.skipIf(!canMount)("a full disk", () => {
  let disk = ""
  let store = ""
  const backup = (source: string) => ["backup", "-r", store, "--backup-id", "full", `data.pxar:${source}`]

  beforeAll(async () => {
    disk = mount("disk", 64)
    store = makeStore(disk)
    await succeed(backup(makeNoise("small", 8)))
    writeFileSync(path.join(disk, "filler"), randomBytes(30 * MIB))
  })

  it("in the middle of a backup: a clear error, and no half snapshot", async () => {
    assertFails(await granary(backup(makeNoise("large", 48))), 1, /no space left.*free some space/)
    assert.strictEqual(snapshotFolders(store, "host/full").length, 1)
    assert.deepStrictEqual(temporaryFiles(store), [])
    assert.strictEqual((await snapshotsIn(store)).length, 1)
  })

  it("still gives back what it holds", async () => {
    await succeed(["restore", "-r", store, "host/full", "data.pxar", inFolder("back")])
    assert.isTrue(isSame(inFolder("back/part-4"), inFolder("small/part-4")))
  })

  it("is fine again when there is space", async () => {
    rmSync(path.join(disk, "filler"))
    remount(disk, "size=160m")
    await succeed(backup(inFolder("large")))
    await succeed(["verify", "-r", store])
    assert.strictEqual(snapshotFolders(store, "host/full").length, 2)
  })

  it("as the target of a restore: a clear error", async () => {
    const target = mount("small-target", 16)
    const ended = await granary(["restore", "-r", store, "host/full", "data.pxar", path.join(target, "tree")])
    assertFails(ended, 1, /no space left/i)
  })
})

describe.skipIf(!canMount)("a read-only datastore", () => {
  let store = ""
  let data = ""

  beforeAll(async () => {
    const disk = mount("read-only", 64)
    store = makeStore(disk)
    data = inFolder("data")
    mkdirSync(data)
    writeFileSync(path.join(data, "file"), "content")
    await succeed(["backup", "-r", store, "--backup-id", "kept", `data.pxar:${data}`])
    remount(disk, "ro")
  })

  it("is listed, restored and verified", async () => {
    assert.strictEqual((await snapshotsIn(store)).length, 1)
    const cat = await succeed(["cat", "-r", store, "host/kept", "data.pxar", "file"])
    assert.strictEqual(cat.text, "content")
    await succeed(["restore", "-r", store, "host/kept", "data.pxar", inFolder("restored")])
    assert.isTrue(isSame(inFolder("restored/file"), path.join(data, "file")))
    const verified = await granary(["verify", "-r", store])
    assert.match(verified.text, /^ok +host\/kept/m)
    assert.include([0, 3], verified.code, verified.errors)
  })

  it.each([
    ["backup", () => ["backup", "-r", store, "--backup-id", "kept", `data.pxar:${data}`]],
    ["forget", () => ["forget", "-r", store, "host/kept/latest"]],
    ["init", () => ["init", path.join(path.dirname(store), "another")]]
  ])("refuses %s clearly", async (_name, args) => {
    assertFails(await granary(args()), 1, /read-only.*writable/)
    assert.strictEqual(snapshotFolders(store, "host/kept").length, 1)
    assert.isTrue(existsSync(path.join(store, "host/kept")))
  })
})
