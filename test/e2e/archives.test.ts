/** Images, blobs, streams, several archives in one snapshot, and what a second backup does not store again. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import {
  assertFails,
  chunkFiles,
  document,
  fastFolder,
  granary,
  isSame,
  makeStore,
  succeed,
  workFolder
} from "./cli.ts"

const MIB = 1024 * 1024
const folder = workFolder()
const fast = fastFolder()
const inFolder = (...parts: ReadonlyArray<string>): string => path.join(folder.path, ...parts)
let store = ""

interface Summary {
  readonly snapshot: string
  readonly files: ReadonlyArray<{ readonly filename: string; readonly size: number }>
  readonly stats: Readonly<Record<"count" | "size" | "compressed-size" | "duplicates", number>>
}

const backUp = (id: string, archives: ReadonlyArray<string>, input?: Uint8Array) =>
  document<Summary>(
    ["backup", "-r", store, "--backup-id", id, ...archives],
    input === undefined ? {} : { input }
  )

/** Sparse, of an odd size, data in the middle and at the very end. */
const makeImage = (file: string): void => {
  const fd = openSync(file, "wx")
  ftruncateSync(fd, 48 * MIB + 12_345)
  writeSync(fd, randomBytes(3 * MIB), 0, 3 * MIB, 17 * MIB)
  writeSync(fd, Buffer.alloc(MIB, "text "), 0, MIB, 30 * MIB)
  writeSync(fd, Buffer.from("the end"), 0, 7, 48 * MIB + 12_338)
  closeSync(fd)
}

beforeAll(async () => {
  store = makeStore(fast.path)
  makeImage(inFolder("disk.img"))
  writeFileSync(inFolder("app.conf"), "setting = 1\n")
  mkdirSync(inFolder("tree"))
  writeFileSync(inFolder("tree/noise"), randomBytes(6 * MIB))
})
afterAll(() => {
  folder.remove()
  fast.remove()
})

describe("several archives in one snapshot", () => {
  const archives = () => [
    `tree.pxar:${inFolder("tree")}`,
    `drive-scsi0.img:${inFolder("disk.img")}`,
    `app.conf:${inFolder("app.conf")}`
  ]

  it("come back, images sparse, and to standard output", async () => {
    const { files } = await backUp("several", archives())
    assert.sameMembers(
      files.map(({ filename }) => filename),
      ["tree.pxar.didx", "drive-scsi0.img.fidx", "app.conf.blob", "catalog.pcat1.didx"]
    )
    const restore = ["restore", "-r", store, "host/several"]
    await succeed([...restore, "drive-scsi0.img", inFolder("restored.img")])
    assert.isTrue(isSame(inFolder("restored.img"), inFolder("disk.img")))
    assert.isBelow(statSync(inFolder("restored.img")).blocks * 512, 16 * MIB, "holes stay holes")
    await succeed([...restore, "tree.pxar", inFolder("restored")])
    assert.isTrue(isSame(inFolder("restored/noise"), inFolder("tree/noise")))
    const image = await succeed([...restore, "drive-scsi0.img", "-"])
    assert.isTrue(image.output.equals(readFileSync(inFolder("disk.img"))))
    const blob = await succeed([...restore, "app.conf", "-"])
    assert.strictEqual(blob.text, "setting = 1\n")
    const file = await succeed(["cat", "-r", store, "host/several", "tree.pxar", "noise"])
    assert.isTrue(file.output.equals(readFileSync(inFolder("tree/noise"))))
  })

  it("never overwrite a file without being told", async () => {
    writeFileSync(inFolder("precious"), "mine")
    const restore = ["restore", "-r", store, "host/several", "app.conf", inFolder("precious")]
    assertFails(await granary(restore), 1, /precious.*exists.*--overwrite/)
    assert.strictEqual(readFileSync(inFolder("precious"), "utf8"), "mine")
    await succeed([...restore, "--overwrite", "always"])
    assert.strictEqual(readFileSync(inFolder("precious"), "utf8"), "setting = 1\n")
  })

  it("are stored once: the second backup adds no chunk", async () => {
    const before = chunkFiles(store).length
    const { snapshot, stats } = await backUp("several", archives())
    assert.strictEqual(chunkFiles(store).length, before)
    assert.strictEqual(stats["compressed-size"], 0)
    assert.strictEqual(stats.duplicates, stats.count)
    const [state] = await document<ReadonlyArray<{ state: string }>>(["verify", "-r", store, snapshot])
    assert.strictEqual(state?.state, "ok")
  })

  it("share chunks with another group", async () => {
    const before = chunkFiles(store).length
    await backUp("another", archives())
    assert.strictEqual(chunkFiles(store).length, before)
  })

  it("store only what changed", async () => {
    const fd = openSync(inFolder("disk.img"), "r+")
    writeSync(fd, Buffer.from("changed"), 0, 7, 17 * MIB)
    closeSync(fd)
    const before = chunkFiles(store).length
    await backUp("several", archives())
    assert.strictEqual(chunkFiles(store).length, before + 1, "one chunk of 4 MiB")
  })
})

describe("standard input", () => {
  it("becomes a blob, an image or a stream", async () => {
    const content = randomBytes(5 * MIB + 3)
    for (const name of ["dump.log", "disk.img"]) {
      await backUp("input", [`${name}:-`], content)
      const back = await succeed(["restore", "-r", store, "host/input", name, "-"])
      assert.isTrue(back.output.equals(content), name)
    }
  })

  it("may be empty", async () => {
    await backUp("empty", ["nothing.conf:-"], new Uint8Array(0))
    const back = await succeed(["restore", "-r", store, "host/empty", "nothing.conf", inFolder("nothing")])
    assert.strictEqual(statSync(inFolder("nothing")).size, 0, back.errors)
  })
})

describe("images of awkward sizes", () => {
  it.each([1, 4 * MIB + 1])("come back: %i bytes", async (sizeBytes) => {
    const file = inFolder(`image-${sizeBytes}`)
    writeFileSync(file, randomBytes(sizeBytes))
    await backUp(`size-${sizeBytes}`, [`disk.img:${file}`])
    await succeed(["restore", "-r", store, `host/size-${sizeBytes}`, "disk.img", `${file}.back`])
    assert.isTrue(isSame(file, `${file}.back`))
  })
})

describe("an empty image", () => {
  it("is refused: the format knows none", async () => {
    writeFileSync(inFolder("zero"), "")
    const args = ["backup", "-r", store, "--backup-id", "zero", `disk.img:${inFolder("zero")}`]
    assertFails(await granary(args), 1, /zero: .*empty/)
    assert.isFalse(existsSync(path.join(store, "host/zero")))
  })
})

describe("namespaces and times", () => {
  it("are asked for by --ns, and a missing one is not made by a backup", async () => {
    const args = ["backup", "-r", store, "--ns", "team/dev", `app.conf:${inFolder("app.conf")}`]
    assertFails(await granary(args), 1, /team\/dev: .*namespace/)
    assert.isFalse(existsSync(path.join(store, "ns")))
  })

  it("a backup must be later than the group's newest", async () => {
    const args = ["backup", "-r", store, "--backup-id", "times", `app.conf:${inFolder("app.conf")}`]
    await succeed([...args, "--backup-time", "2024-02-29T12:34:56Z"])
    for (const time of ["2024-02-29T12:34:56Z", "2020-01-01T00:00:00Z"]) {
      assertFails(await granary([...args, "--backup-time", time]), 1, /host\/times.*--backup-time/)
    }
    assert.isTrue(existsSync(path.join(store, "host/times/2024-02-29T12:34:56Z/index.json.blob")))
  })
})
