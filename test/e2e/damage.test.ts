/** Datastores that are not what they should be: damaged chunks, manifests that lie, cut indexes, files of others. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import {
  assertFails,
  chunkFiles,
  document,
  fastFolder,
  granary,
  isSame,
  makeStore,
  snapshotFolders,
  snapshotsIn,
  succeed
} from "./cli.ts"

const folder = fastFolder()
const inFolder = (...parts: ReadonlyArray<string>): string => path.join(folder.path, ...parts)
const source = inFolder("source")
let store = ""

interface Verified {
  readonly snapshot: string
  readonly state: string
  readonly files: ReadonlyArray<{ readonly filename: string; readonly errors: ReadonlyArray<string> }>
}

const backUp = (id: string) => succeed(["backup", "-r", store, "--backup-id", id, `data.pxar:${source}`])

/** The folder of a group's newest snapshot. */
const newest = (id: string): string =>
  path.join(store, "host", id, snapshotFolders(store, `host/${id}`).toSorted().at(-1) ?? "")

const verify = async (id: string): Promise<{ code: number | null; results: ReadonlyArray<Verified> }> => {
  const ended = await granary(["verify", "-r", store, `host/${id}`, "--output", "json"])
  return { code: ended.code, results: JSON.parse(ended.text) }
}

const assertSound = async (id: string): Promise<void> => {
  const { code, results } = await verify(id)
  assert.strictEqual(code, 0)
  assert.isTrue(results.every(({ state }) => state === "ok"))
}

const manifestOf = (snapshotFolder: string): Manifest.Manifest =>
  Manifest.decode(readFileSync(path.join(snapshotFolder, "index.json.blob")))

const writeManifest = (snapshotFolder: string, files: ReadonlyArray<Record<string, unknown>>): void => {
  const { snapshot } = manifestOf(snapshotFolder)
  const content = {
    "backup-type": snapshot.group.type,
    "backup-id": snapshot.group.id,
    "backup-time": snapshot.time,
    files,
    signature: null,
    unprotected: {}
  }
  const blob = DataBlob.encode(Buffer.from(JSON.stringify(content)), { compress: false })
  writeFileSync(path.join(snapshotFolder, "index.json.blob"), blob)
}

const csum = "00".repeat(32)

beforeAll(async () => {
  mkdirSync(source)
  writeFileSync(path.join(source, "noise"), randomBytes(6 * 1024 * 1024))
  writeFileSync(path.join(source, "text"), "readable")
  store = makeStore(folder.path)
})
afterAll(folder.remove)

describe("a damaged chunk", () => {
  it("is found, put aside, and stored anew by the next backup", async () => {
    await backUp("flipped")
    await assertSound("flipped")
    const chunk = chunkFiles(store)[0]!
    const content = readFileSync(chunk)
    content[content.length >> 1]! ^= 0x10
    writeFileSync(chunk, content)

    const target = inFolder("from-damaged")
    const restore = ["restore", "-r", store, "host/flipped", "data.pxar", target]
    assertFails(await granary(restore), 1, new RegExp(`${path.basename(chunk)}.*corrupt.*run verify`))

    const ended = await granary(["verify", "-r", store])
    assertFails(ended, 1, /1 snapshot failed the verification/)
    assert.include(ended.text, path.basename(chunk))
    assert.isTrue(existsSync(`${chunk}.0.bad`))
    assert.isFalse(existsSync(chunk))
    const [listed] = await snapshotsIn(store, "host/flipped")
    assert.strictEqual(listed?.verification?.state, "failed")

    await backUp("flipped")
    assert.isTrue(existsSync(chunk))
    await assertSound("flipped")
    rmSync(`${chunk}.0.bad`)
  })

  it("that is missing is found, and stored anew by the next backup", async () => {
    await backUp("removed")
    const chunk = chunkFiles(store)[0]!
    renameSync(chunk, inFolder("kept-chunk"))
    const { code, results } = await verify("removed")
    assert.strictEqual(code, 1)
    assert.include(JSON.stringify(results), path.basename(chunk))
    await backUp("removed")
    assert.isTrue(isSame(chunk, inFolder("kept-chunk")))
    await assertSound("removed")
  })

  it("that is missing without anybody knowing is stored anew on demand", async () => {
    await backUp("unnoticed")
    const chunk = chunkFiles(store)[0]!
    rmSync(chunk)
    await succeed(["backup", "-r", store, "--backup-id", "unnoticed", "--no-reuse", `data.pxar:${source}`])
    assert.isTrue(existsSync(chunk))
    await assertSound("unnoticed")
  })
})

describe("a manifest", () => {
  it("that lists a file which is not there", async () => {
    await backUp("lists-missing")
    const snapshotFolder = newest("lists-missing")
    const files = manifestOf(snapshotFolder).files.map(({ filename, sizeBytes, csum }) => ({
      filename,
      size: sizeBytes,
      csum,
      "crypt-mode": "none"
    }))
    const missing = { filename: "gone.img.fidx", size: 4096, csum, "crypt-mode": "none" }
    writeManifest(snapshotFolder, [...files, missing])
    const { code, results } = await verify("lists-missing")
    assert.strictEqual(code, 1)
    assert.match(JSON.stringify(results), /gone\.img\.fidx/)
    const restore = ["restore", "-r", store, "host/lists-missing", "gone.img", inFolder("gone")]
    assertFails(await granary(restore), 1, /gone\.img/)
    assert.isFalse(existsSync(inFolder("gone")))
    // What is there can still be had.
    const cat = await succeed(["cat", "-r", store, "host/lists-missing", "data.pxar", "text"])
    assert.strictEqual(cat.text, "readable")
    await backUp("lists-missing")
  })

  it.each(["../../../escaped.conf.blob", "..", "a\u001b[2Jb.conf.blob"])(
    "with the name %j is refused as a whole",
    async (filename) => {
      const id = `escapes-${Buffer.from(filename).toString("hex").slice(0, 12)}`
      await backUp(id)
      writeManifest(newest(id), [{ filename, size: 1, csum, "crypt-mode": "none" }])
      const target = inFolder("escaped")
      const ended = await granary(["restore", "-r", store, `host/${id}`, "escaped.conf", target])
      assertFails(ended, 1, /host\/escapes.*index\.json\.blob/)
      assert.notInclude(ended.errors, "\u001b")
      assert.isFalse(existsSync(target))
      assert.strictEqual((await verify(id)).code, 1)
    }
  )

  it.each([
    ["garbage", (): Uint8Array => Buffer.from("this is no manifest")],
    ["empty", (): Uint8Array => new Uint8Array(0)],
    ["of another snapshot", (): Uint8Array => readFileSync(path.join(newest("flipped"), "index.json.blob"))]
  ])("that is %s", async (name, content) => {
    const id = `manifest-${name.replaceAll(" ", "-")}`
    await backUp(id)
    writeFileSync(path.join(newest(id), "index.json.blob"), content())
    const cat = await granary(["cat", "-r", store, `host/${id}`, "data.pxar", "text"])
    assertFails(cat, 1, /host\/manifest.*index\.json\.blob/)
    assert.strictEqual((await verify(id)).code, 1)
    // A list goes on to the others, and so does the next backup.
    assert.isNotEmpty((await granary(["snapshots", "-r", store, "--output", "json"])).text)
    await backUp(id)
  })
})

describe("an index", () => {
  it.each([100, 4100])("that is cut at %i bytes", async (sizeBytes) => {
    const id = `cut-${sizeBytes}`
    await backUp(id)
    truncateSync(path.join(newest(id), "data.pxar.didx"), sizeBytes)
    const restore = ["restore", "-r", store, `host/${id}`, "data.pxar", inFolder(id)]
    assertFails(await granary(restore), 1, /data\.pxar\.didx/)
    const { code, results } = await verify(id)
    assert.strictEqual(code, 1)
    assert.match(JSON.stringify(results), /data\.pxar\.didx/)
    await backUp(id)
  })
})

describe("files of others", () => {
  it("do not disturb", async () => {
    await backUp("foreign")
    const snapshotFolder = newest("foreign")
    writeFileSync(path.join(store, "README"), "hello")
    writeFileSync(path.join(store, "host/a file"), "hello")
    mkdirSync(path.join(store, "host/foreign/not a snapshot"))
    writeFileSync(path.join(store, "host/foreign/notes.txt"), "hello")
    writeFileSync(path.join(snapshotFolder, "junk"), "hello")
    writeFileSync(path.join(snapshotFolder, "unlisted.img.fidx"), "hello")
    mkdirSync(path.join(store, "vm"))
    writeFileSync(path.join(store, "vm/.hidden"), "hello")
    writeFileSync(path.join(store, ".chunks/junk"), "hello")
    mkdirSync(path.join(store, ".chunks/0000"), { recursive: true })
    writeFileSync(path.join(store, ".chunks/0000/junk"), "hello")
    const listed = await snapshotsIn(store, "host/foreign")
    assert.strictEqual(listed.length, 1)
    await assertSound("foreign")
    await backUp("foreign")
    const groups = await document<ReadonlyArray<Record<string, unknown>>>(["groups", "-r", store])
    assert.isFalse(groups.some((group) => String(group["backup-id"]).includes(" ")))
  })
})
