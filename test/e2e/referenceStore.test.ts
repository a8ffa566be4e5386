/** A datastore that Proxmox Backup Server made: listed, verified, restored, and backed up into. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs"
import * as path from "node:path"
import { compareTrees, describeDifference } from "../../src/restore/compareTrees.ts"
import {
  assertFails,
  document,
  fastFolder,
  fixtures,
  type Folder,
  granary,
  isRoot,
  type Snapshot,
  snapshotsIn,
  succeed,
  workFolder
} from "./cli.ts"

const original = path.join(fixtures, "datastore")
const keyFile = path.join(fixtures, "keys/fixed.key.json")

interface Listed extends Snapshot {
  readonly owner: string
}

interface Expected {
  readonly dir: string
  readonly ns: string
  readonly owner: string
  readonly finished: boolean
  readonly manifest: {
    readonly files: ReadonlyArray<{ readonly filename: string; readonly size: number }>
  } | null
}

describe.skipIf(!existsSync(original))("a datastore of the reference", () => {
  let fast: Folder
  let work: Folder
  let store = ""
  const target = (name: string): string => path.join(work.path, name)
  const expected: ReadonlyArray<Expected> = existsSync(original)
    ? JSON.parse(readFileSync(path.join(fixtures, "datastore.snapshots.json"), "utf8"))
    : []

  beforeAll(() => {
    fast = fastFolder()
    work = workFolder()
    store = path.join(fast.path, "store")
    cpSync(original, store, { recursive: true, preserveTimestamps: true })
    // Folders without chunks got lost on the way here; a datastore has them all.
    for (let prefix = 0; prefix < 0x10000; prefix++) {
      mkdirSync(path.join(store, ".chunks", prefix.toString(16).padStart(4, "0")), { recursive: true })
    }
  })
  afterAll(() => {
    fast.remove()
    work.remove()
  })

  it("is listed as it is, namespaces included", async () => {
    const namespaces = await document<ReadonlyArray<{ ns: string }>>(["namespaces", "-r", store])
    const known = new Set(expected.map(({ ns }) => ns))
    for (const ns of known) assert.isTrue(ns === "" || namespaces.some((each) => each.ns === ns))
    for (const ns of known) {
      const listed = await document<ReadonlyArray<Listed>>(["snapshots", "-r", store, "--ns", ns])
      const wanted = expected.filter((each) => each.ns === ns)
      assert.strictEqual(listed.length, wanted.length, `namespace "${ns}"`)
      for (const { dir, manifest, owner } of wanted) {
        const found = listed.find((each) => {
          const time = new Date(each["backup-time"] * 1000).toISOString().replace(".000", "")
          return dir.endsWith(`${each["backup-type"]}/${each["backup-id"]}/${time}`)
        })
        assert.strictEqual(found?.owner, owner, dir)
        assert.sameMembers(
          found!.files
            .map(({ filename }) => filename)
            .filter((name) => name !== "index.json.blob" && name !== "client.log.blob"),
          manifest?.files.map(({ filename }) => filename) ?? [],
          dir
        )
      }
    }
  })

  it("is sound", async () => {
    const results = await document<ReadonlyArray<{ state: string }>>(["verify", "-r", store])
    assert.strictEqual(results.length, expected.filter(({ finished }) => finished).length)
    assert.isTrue(results.every(({ state }) => state === "ok"))
    await succeed(["verify", "-r", store, "--keyfile", keyFile])
  })

  it("gives its trees back, from either version of its archives", async () => {
    for (const version of ["v1", "v2"]) {
      const args = ["restore", "-r", store, `host/${version}-plain`, "root.pxar", target(version)]
      const { code, errors } = await granary(args)
      // Only root may give every owner and device back.
      assert.strictEqual(code, isRoot ? 0 : 3, errors)
    }
    assert.strictEqual(readFileSync(target("v1/d/f"), "utf8"), "data")
    assert.isTrue(statSync(target("v2/sparse-2M")).size > 0)
  })

  it("gives encrypted content back with the key only", async () => {
    const args = ["cat", "-r", store, "ct/100", "pct.conf"]
    assertFails(await granary(args), 1, /key/)
    const plain = await succeed(["cat", "-r", store, "ct/103", "pct.conf"])
    const decrypted = await succeed([...args, "--keyfile", keyFile])
    assert.isTrue(decrypted.output.equals(plain.output))
  })

  it.each(["v1", "v2"])("takes a backup of its tree %s, and stays sound", async (version) => {
    const group = `host/${version}-plain`
    const before = (await snapshotsIn(store, group)).length
    const backup = ["backup", "-r", store, "--backup-id", `${version}-plain`]
    const detection = ["--change-detection", version === "v1" ? "legacy" : "data"]
    await succeed([...backup, ...detection, `root.pxar:${target(version)}`])
    assert.strictEqual((await snapshotsIn(store, group)).length, before + 1)
    await succeed(["verify", "-r", store, group])
    const again = target(`${version}-again`)
    await succeed(["restore", "-r", store, `${group}/latest`, "root.pxar", again])
    assert.deepStrictEqual([...compareTrees(target(version), again)].map(describeDifference), [])
  })

  it("keeps its owners", async () => {
    const args = [
      "backup",
      "-r",
      store,
      "--backup-id",
      "v1-plain",
      "--owner",
      "eve@pam",
      `a.pxar:${target("v1")}`
    ]
    assertFails(await granary(args), 1, /host\/v1-plain: .*belongs to root@pam.*--owner/)
  })
})
