/**
 * The Promise facade as a program uses it: on one datastore with a small directory, an image and blobs in it.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { hash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import {
  ClosedError,
  createDatastore,
  FilesError,
  InvalidName,
  KeyError,
  openDatastore,
  PathError,
  type ProgressEvent,
  SourceError,
  StoreError
} from "../src/promises.ts"
import * as KeyFile from "../src/format/KeyFile.ts"
import { collect, makeFolder, rejection } from "./promisesScene.ts"

const folder = makeFolder()
const inFolder = (name: string): string => path.join(folder, name)
const store = inFolder("store")
const source = inFolder("source")
const image = Uint8Array.from({ length: 9_000_000 }, (_, index) => index % 251)
const text = new TextEncoder()
const group = "host/test"
let first = ""

const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await collect(pieces))

beforeAll(async () => {
  fs.mkdirSync(path.join(source, "deep/er"), { recursive: true })
  fs.writeFileSync(path.join(source, "deep/er/hello.txt"), "hello, world")
  fs.symlinkSync("deep/er/hello.txt", path.join(source, "link"))
  await using datastore = await createDatastore(store)
  const { snapshot } = await datastore.backup(
    {
      "root.pxar": source,
      "disk.img": [image.subarray(0, 5_000_000), image.subarray(5_000_000)],
      "a.conf": text.encode("a=1")
    },
    { group, time: new Date("2024-02-29T12:00:00Z") }
  )
  first = snapshot
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

describe("openDatastore and createDatastore", () => {
  it("refuse a folder that is none, and one that is one already", async () => {
    const none = await rejection(openDatastore(inFolder("nowhere")))
    assert.instanceOf(none, StoreError)
    assert.strictEqual(none.reason, "NotADatastore")
    const twice = await rejection(createDatastore(store))
    assert.instanceOf(twice, StoreError)
    assert.strictEqual(twice.reason, "AlreadyADatastore")
  })

  it("tell about keys", async () => {
    const file = inFolder("key.json")
    const missing = await rejection(openDatastore(store, { key: { file } }))
    assert.instanceOf(missing, FilesError)
    const key = KeyFile.create({
      raw: new Uint8Array(32).fill(7),
      kdf: "pbkdf2",
      passphrase: "correct horse",
      created: 0,
      salt: new Uint8Array(32),
      iv: new Uint8Array(16)
    })
    fs.writeFileSync(file, KeyFile.encode(key))
    const wrong = await rejection(openDatastore(store, { key: { file, passphrase: "wrong horse" } }))
    assert.instanceOf(wrong, KeyError)
    assert.strictEqual(wrong.reason, "WrongPassphrase")

    await using datastore = await openDatastore(store, { key: { file, passphrase: "correct horse" } })
    const secret = { group: "host/secret" }
    const { snapshot, archives } = await datastore.backup(
      { "disk.img": [image], "a.conf": text.encode("b=2") },
      secret
    )
    assert.deepStrictEqual(
      archives.map(({ cryptMode }) => cryptMode),
      ["encrypt", "encrypt"]
    )
    assert.isTrue((await bytesOf(datastore.readArchive(snapshot, "disk.img"))).equals(image))

    await using keyless = await openDatastore(store)
    const refused = await rejection(bytesOf(keyless.readArchive(snapshot, "disk.img")))
    assert.instanceOf(refused, StoreError)
    assert.strictEqual(refused.reason, "KeyNeeded")
  })
})

describe("a datastore", () => {
  it("lists what was backed up", async () => {
    await using datastore = await openDatastore(store)
    const [snapshot, ...others] = await collect(datastore.snapshots({ group }))
    assert.isEmpty(others)
    assert.isDefined(snapshot)
    assert.strictEqual(snapshot.name, "host/test/2024-02-29T12:00:00Z")
    assert.strictEqual(snapshot.name, first)
    assert.strictEqual(snapshot.time.toISOString(), "2024-02-29T12:00:00.000Z")
    assert.strictEqual(snapshot.state, "finished")
    assert.strictEqual(snapshot.owner, "root@pam")
    const files = await datastore.files(group)
    assert.sameMembers(
      files.map(({ name }) => name),
      ["root.pxar", "disk.img", "a.conf", "catalog.pcat1"]
    )
    assert.strictEqual(files.find(({ name }) => name === "disk.img")?.sizeBytes, image.length)
  })

  it("shows what is in a directory", async () => {
    await using datastore = await openDatastore(store)
    const entries = await collect(datastore.list(first, "root.pxar"))
    assert.deepStrictEqual(
      entries.map(({ path: name, kind, sizeBytes, target }) => [name, kind, sizeBytes, target]),
      [
        ["", "directory", 0, undefined],
        ["deep", "directory", 0, undefined],
        ["deep/er", "directory", 0, undefined],
        ["deep/er/hello.txt", "file", 12, undefined],
        ["link", "symlink", 0, "deep/er/hello.txt"]
      ]
    )
    const below = await collect(datastore.list(first, "root.pxar", "deep/er"))
    assert.deepStrictEqual(
      below.map(({ path: name }) => name),
      ["deep/er", "deep/er/hello.txt"]
    )
    const [, , , file] = entries
    assert.strictEqual(
      file?.modified.getTime(),
      Math.trunc(fs.statSync(path.join(source, "deep/er/hello.txt")).mtimeMs)
    )
  })

  it("gives bytes that stay valid", async () => {
    await using datastore = await openDatastore(store)
    const hello = await bytesOf(datastore.readFile(first, "root.pxar", "/deep/er/hello.txt"))
    assert.strictEqual(hello.toString(), "hello, world")
    const pieces = await collect(datastore.readArchive(first, "disk.img"))
    assert.isAbove(pieces.length, 1)
    assert.isTrue(Buffer.concat(pieces).equals(image))
    assert.strictEqual((await bytesOf(datastore.readArchive(first, "a.conf"))).toString(), "a=1")
    const none = await rejection(bytesOf(datastore.readFile(first, "root.pxar", "deep/none")))
    assert.instanceOf(none, PathError)
  })

  it("restores whole archives and parts", async () => {
    await using datastore = await openDatastore(store)
    const whole = await datastore.restore(first, "root.pxar", inFolder("whole"))
    assert.deepInclude(whole, { files: 2, sizeBytes: 12, warnings: 0 })
    assert.strictEqual(fs.readFileSync(inFolder("whole/link"), "utf8"), "hello, world")
    await datastore.restore(first, "root.pxar", inFolder("part"), { includes: ["/link"] })
    assert.deepStrictEqual(fs.readdirSync(inFolder("part")), ["link"])
    await datastore.restore(first, "disk.img", inFolder("disk.img"))
    assert.isTrue(fs.readFileSync(inFolder("disk.img")).equals(image))
  })

  it("verifies, and finds a chunk that is damaged", async () => {
    await using datastore = await openDatastore(store)
    const noise = crypto.getRandomValues(new Uint8Array(5000))
    const { snapshot } = await datastore.backup({ "noise.img": [noise] }, { group: "host/noise" })
    assert.isTrue((await datastore.verify({ only: snapshot })).isSound)
    const digest = hash("sha256", noise, "hex")
    const chunk = path.join(store, ".chunks", digest.slice(0, 4), digest)
    const content = fs.readFileSync(chunk)
    content[content.length - 1] = (content.at(-1) ?? 0) ^ 1
    fs.writeFileSync(chunk, content)
    const result = await datastore.verify({ only: "host/noise" })
    assert.isFalse(result.isSound)
    assert.deepInclude(result.snapshots[0], { snapshot, state: "failed", namespace: "" })
    assert.match(result.snapshots[0]?.problems[0] ?? "", /^noise\.img\.fidx: /)
  })

  it("keeps namespaces apart", async () => {
    await using datastore = await openDatastore(store)
    const there = { namespace: "team/dev", group: "ct/1" }
    const early = await rejection(datastore.backup({ "a.conf": text.encode("c=3") }, there))
    assert.instanceOf(early, StoreError)
    assert.strictEqual(early.reason, "NoSuchNamespace")
    await datastore.createNamespace("team/dev")
    await datastore.backup({ "a.conf": text.encode("c=3") }, there)
    const [snapshot] = await collect(datastore.snapshots({ namespace: "team/dev" }))
    assert.deepInclude(snapshot, { group: "ct/1", namespace: "team/dev" })
    assert.isFalse((await collect(datastore.snapshots())).some(({ group: name }) => name === "ct/1"))
    assert.strictEqual((await datastore.files("ct/1", { namespace: "team/dev" })).length, 1)
  })

  it("forgets a snapshot", async () => {
    await using datastore = await openDatastore(store)
    const { snapshot } = await datastore.backup({ "a.log": [text.encode("line")] }, { group: "vm/7" })
    await datastore.forget(snapshot)
    const gone = await rejection(datastore.files(snapshot))
    assert.instanceOf(gone, StoreError)
    assert.strictEqual(gone.reason, "NoSuchSnapshot")
  })

  it("collects what a forgotten snapshot leaves, and says which chunk another one misses", async () => {
    await using datastore = await openDatastore(store)
    const contents = ["gone", "kept", "lost"].map((name) => text.encode(`collect ${name} `.repeat(100)))
    const names: Array<string> = []
    for (const [at, content] of contents.entries()) {
      names.push((await datastore.backup({ "x.img": [content] }, { group: `host/collect-${at}` })).snapshot)
    }
    const chunks = contents.map((content) => {
      const digest = hash("sha256", content, "hex")
      return path.join(store, ".chunks", digest.slice(0, 4), digest)
    })
    await datastore.forget(names[0] ?? "")
    fs.unlinkSync(chunks[2] ?? "")
    const daysAgo = new Date(Date.now() - 3 * 86_400_000)
    for (const chunk of chunks.slice(0, 2)) fs.utimesSync(chunk, daysAgo, daysAgo)
    const planned = await datastore.collectGarbage({ dryRun: true })
    assert.deepStrictEqual(
      chunks.map((chunk) => fs.existsSync(chunk)),
      [true, true, false]
    )
    const tasks = new Set<string>()
    const onProgress = (event: ProgressEvent): void =>
      void (event.type === "progress" && tasks.add(event.task))
    const done = await datastore.collectGarbage({ onProgress })
    assert.deepStrictEqual(
      chunks.map((chunk) => fs.existsSync(chunk)),
      [false, true, false]
    )
    assert.deepStrictEqual([planned.removedChunks, done.removedChunks], [1, 1])
    assert.deepStrictEqual([...tasks], ["gc-mark", "gc-sweep", "gc-remove"])
    // The chunk that was damaged above is missed as well.
    const digest = path.basename(chunks[2] ?? "")
    assert.deepStrictEqual(
      done.missingChunks.filter((missing) => missing.digest === digest),
      [{ digest, snapshots: [{ namespace: "", snapshot: names[2] ?? "" }] }]
    )
  })

  it("rejects names that break the rules, and sources that cannot be", async () => {
    await using datastore = await openDatastore(store)
    assert.instanceOf(await rejection(datastore.files("laptop")), InvalidName)
    assert.instanceOf(await rejection(collect(datastore.snapshots({ namespace: "../up" }))), InvalidName)
    assert.instanceOf(await rejection(datastore.backup({ "name.exe": "/" }, { group })), InvalidName)
    assert.instanceOf(
      await rejection(datastore.backup({ "x.pxar": inFolder("none") }, { group })),
      SourceError
    )
    const own = new Error("the pump is dry")
    const dry = async function* () {
      yield new Uint8Array(10)
      throw own
    }
    assert.strictEqual(await rejection(datastore.backup({ "dry.img": dry() }, { group })), own)
    assert.strictEqual((await collect(datastore.snapshots({ group }))).length, 1)
  })
})

/** Bytes without end; `started` is resolved with the first of them, `closed` when nobody wants more. */
const endless = () => {
  const started = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const bytes = async function* () {
    try {
      for (;;) {
        yield new Uint8Array(100_000)
        started.resolve()
      }
    } finally {
      closed.resolve()
    }
  }
  return { bytes: bytes(), started: started.promise, closed: closed.promise }
}

describe("stopping", () => {
  it("rejects with the signal's reason and leaves no snapshot", async () => {
    await using datastore = await openDatastore(store)
    const { bytes, started, closed } = endless()
    const controller = new AbortController()
    const reason = new Error("enough")
    const running = rejection(
      datastore.backup({ "endless.img": bytes }, { group, signal: controller.signal })
    )
    await started
    controller.abort(reason)
    assert.strictEqual(await running, reason)
    await closed
    assert.strictEqual((await collect(datastore.snapshots({ group }))).length, 1)
    assert.strictEqual(await rejection(datastore.files(first, { signal: AbortSignal.abort(reason) })), reason)
    const listing = datastore.list(first, "root.pxar", "", { signal: AbortSignal.abort(reason) })
    assert.strictEqual(await rejection(listing.next()), reason)
  })

  it("follows from an error in onProgress", async () => {
    await using datastore = await openDatastore(store)
    const own = new Error("the display broke")
    const seen: Array<ProgressEvent> = []
    const onProgress = (event: ProgressEvent): void => {
      seen.push(event)
      throw own
    }
    const running = datastore.backup({ "endless.img": endless().bytes }, { group, onProgress })
    assert.strictEqual(await rejection(running), own)
    assert.deepInclude(seen[0], {
      type: "progress",
      task: "backup",
      subject: "endless.img",
      state: "started"
    })
  })

  it("is part of closing, which frees what is open", async () => {
    const datastore = await openDatastore(store)
    const { bytes, started } = endless()
    const running = rejection(datastore.backup({ "endless.img": bytes }, { group }))
    const abandoned = datastore.list(first, "root.pxar")
    await abandoned.next()
    await started
    await Promise.all([datastore.close(), datastore.close()])
    assert.instanceOf(await running, ClosedError)
    assert.instanceOf(await rejection(datastore.files(first)), ClosedError)
    assert.instanceOf(await rejection(collect(datastore.snapshots())), ClosedError)

    // The abandoned listing would still hold the lock that keeps its snapshot from being removed.
    await using again = await openDatastore(store)
    await again.forget(first)
  })

  it("leaves a loop early and frees what it read", async () => {
    await using datastore = await openDatastore(store)
    const { snapshot } = await datastore.backup({ "root.pxar": source }, { group: "host/loop" })
    for await (const entry of datastore.list(snapshot, "root.pxar")) {
      assert.strictEqual(entry.kind, "directory")
      break
    }
    await datastore.forget(snapshot)
  })
})
