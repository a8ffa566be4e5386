/**
 * The Promise facade on datastores in a bucket, behind an S3 server over HTTP: made, used with a cache folder and
 * without, taken over, refreshed, collected and verified.
 */
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "./platform/noThreads.ts"
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "./store/fewFolders.ts"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import {
  ClosedError,
  createDatastore,
  FilesError,
  InvalidName,
  ObjectStoreError,
  openDatastore,
  type ProgressEvent,
  refreshDatastore,
  S3SettingsError,
  StoreError
} from "../src/promises.ts"
import { noise } from "./backup/stores.ts"
import { backup, BucketScene, contentOf, image, namesIn, rejection, rejectsWith } from "./promisesScene.ts"
import type * as S3Endpoint from "./s3/S3Endpoint.ts"

const timeLimitMillis = 180_000
const scene = new BucketScene()
const { folder } = scene
let server: S3Endpoint.S3Endpoint

// The environment is read once, by whoever asks for it first.
process.env["GRANARY_S3_REGION"] = "us-east-1"

/** How often the server was asked, by operation, while something was done. */
const askedDuring = async (work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> => {
  const before = server.served.length
  await work()
  const counts: Record<string, number> = {}
  for (const { operation } of server.served.slice(before)) counts[operation] = (counts[operation] ?? 0) + 1
  return counts
}

beforeAll(async () => {
  server = await scene.startServer()
})

afterAll(() => scene[Symbol.asyncDispose]())

describe("a datastore in a bucket", () => {
  it(
    "is made, backed up into and read back, from its folder and from the bucket alone",
    async () => {
      const { bare, cached } = scene.places(server, "first")
      const tasks = new Set<string>()
      const onProgress = (event: ProgressEvent): void =>
        void (event.type === "progress" && tasks.add(event.task))
      await using made = await createDatastore(cached("cache"), { onProgress, maxCacheBytes: 1_000_000 })
      assert.isTrue(tasks.has("create"))
      assert.strictEqual(made.path, `s3:${server.bucket}/first`)
      const snapshot = await backup(made)
      assert.isTrue((await contentOf(made, snapshot)).equals(image))
      await made.close()
      assert.include(
        fs.readFileSync(path.join(cached("cache").cacheFolder, ".granary-cache-max"), "utf8"),
        "1000000"
      )

      await using again = await openDatastore(cached("cache"))
      // The content is in the folder.
      const asked = await askedDuring(async () =>
        assert.isTrue((await contentOf(again, snapshot)).equals(image))
      )
      assert.isUndefined(asked["GetObject"])

      await using reading = await openDatastore(bare)
      assert.deepStrictEqual(await namesIn(reading), [snapshot])
      assert.isTrue((await contentOf(reading, "host/a")).equals(image))
      const target = path.join(folder, "restored.img")
      await reading.restore("host/a", "disk.img", target)
      assert.isTrue(fs.readFileSync(target).equals(image))
      assert.isTrue((await reading.verify()).isSound)
    },
    timeLimitMillis
  )

  it(
    "cannot be changed without its folder, and nothing is",
    async () => {
      const { bare, cached } = scene.places(server, "frozen")
      await using made = await createDatastore(cached("cache"))
      const snapshot = await backup(made)
      const before = server.memory.keys()
      await using reading = await openDatastore(bare)
      const changes = [
        () => backup(reading),
        () => reading.forget(snapshot),
        () => reading.prune({ keep: { last: 1 } }).then(() => reading.forgetGroup("host/a")),
        () => reading.collectGarbage(),
        () => reading.createNamespace("team")
      ]
      for (const change of changes) {
        const error = await rejection(change())
        const reason = error instanceof StoreError || error instanceof FilesError ? error.reason : error
        assert.include(["Refused", "ReadOnlyFileSystem"], reason)
      }
      assert.deepStrictEqual(server.memory.keys(), before)
      assert.deepStrictEqual(await namesIn(reading), [snapshot])
    },
    timeLimitMillis
  )

  it(
    "leaves no content in the folder when the cache is bypassed",
    async () => {
      const place = scene.places(server, "bypass").cached("cache")
      await using made = await createDatastore({ ...place, cache: "bypass" })
      const snapshot = await backup(made)
      const asked = await askedDuring(async () =>
        assert.isTrue((await contentOf(made, snapshot)).equals(image))
      )
      assert.isAtLeast(asked["GetObject"] ?? 0, 1)
    },
    timeLimitMillis
  )

  it(
    "is refused where there is one, where there is none, and under a bad name",
    async () => {
      const { bare, cached } = scene.places(server, "taken")
      await using datastore = await createDatastore(cached("cache"))
      await backup(datastore)
      const second = cached("second")
      await rejectsWith("InUse", createDatastore(second))
      await rejectsWith("InBucketAlready", createDatastore(second, { overwriteInUse: true }))
      assert.isFalse(fs.existsSync(second.cacheFolder))
      await rejectsWith("NotADatastore", openDatastore(scene.places(server, "none").bare))
      await rejectsWith("NotADatastore", openDatastore(cached("nowhere")))
      assert.instanceOf(await rejection(createDatastore({ ...cached("x"), store: "xy" })), InvalidName)
      assert.instanceOf(await rejection(openDatastore({ ...bare, store: "../x" })), InvalidName)
      // A cache is no datastore of its own, and no other one's.
      await rejectsWith("Refused", openDatastore(cached("cache").cacheFolder))
      await rejectsWith("Refused", openDatastore({ ...cached("cache"), store: "other" }))
    },
    timeLimitMillis
  )

  it(
    "is refused by a server that overwrites what it was asked not to",
    async () => {
      const weak = await scene.startServer({ quirks: { conditionalPut: "ignored" } })
      const place = scene.places(weak, "weak").cached("cache")
      const error = await rejectsWith("Unsuitable", createDatastore(place))
      assert.include(error.message, "conditional put")
      assert.isFalse(fs.existsSync(place.cacheFolder))
    },
    timeLimitMillis
  )

  it(
    "rejects with what is wrong with the settings, the keys, or the budget",
    async () => {
      const { bare } = scene.places(server, "first")
      const wrong = await rejection(openDatastore({ ...bare, s3: { ...bare.s3, port: 70_000 } }))
      assert.instanceOf(wrong, S3SettingsError)
      assert.strictEqual(wrong.setting, "port")
      const keys = await rejection(openDatastore({ ...bare, s3: { ...bare.s3, secretKey: "wrong" } }))
      assert.instanceOf(keys, FilesError)
      assert.strictEqual(keys.reason, "PermissionDenied")
      assert.match(keys.message, /SignatureDoesNotMatch/)
      assert.notInclude(`${keys.message} ${JSON.stringify(keys)}`, server.secretKey)
      await using thrifty = await openDatastore({ ...bare, budget: { getRequests: 3 } })
      const spent = await rejection(thrifty.verify().then(() => contentOf(thrifty, "host/a")))
      assert.match(
        spent instanceof FilesError || spent instanceof ObjectStoreError ? spent.message : "",
        /budget/
      )
      const served = server.served.length
      await rejection(contentOf(thrifty, "host/a"))
      assert.isFalse(server.served.slice(served).some(({ operation }) => operation === "GetObject"))
    },
    timeLimitMillis
  )

  it(
    "takes what is not given from a key file and the environment",
    async () => {
      const { bare } = scene.places(server, "first")
      const keyFile = path.join(folder, "keys")
      fs.writeFileSync(keyFile, `access-key ${server.accessKey}\nsecret-key ${server.secretKey}\n`)
      const s3 = { bucket: server.bucket, endpoint: server.url, pathStyle: true, keyFile }
      await using datastore = await openDatastore({ ...bare, s3 })
      assert.lengthOf(await namesIn(datastore), 1)
    },
    timeLimitMillis
  )
})

describe("another host", () => {
  it(
    "takes a datastore over, and sees what was done elsewhere after a refresh",
    async () => {
      const { cached } = scene.places(server, "shared")
      await using here = await createDatastore(cached("here"))
      const first = await backup(here)
      await rejectsWith("InUse", createDatastore(cached("there"), { reuse: true }))
      await using there = await createDatastore(cached("there"), { reuse: true, overwriteInUse: true })
      assert.deepStrictEqual(await namesIn(there), [first])
      assert.isTrue((await contentOf(there, first)).equals(image))

      const second = await backup(here, noise("other", 70_000))
      assert.deepStrictEqual(await namesIn(there), [first])
      const planned = await refreshDatastore(cached("there"), { dryRun: true })
      assert.deepInclude(planned, { snapshots: 2, groups: 1, fetchedFiles: planned.files })
      assert.deepStrictEqual(await namesIn(there), [first])
      const seen: Array<string> = []
      const done = await refreshDatastore(cached("there"), {
        onProgress: (event) => void (event.type === "progress" && seen.push(event.task))
      })
      assert.deepStrictEqual(done, planned)
      assert.include(seen, "refresh")
      assert.deepStrictEqual(await namesIn(there), [second, first])
    },
    timeLimitMillis
  )

  it(
    "goes on where taking over was stopped",
    async () => {
      const { cached } = scene.places(server, "stopped")
      await using here = await createDatastore(cached("here"))
      const snapshot = await backup(here)
      const there = cached("there")
      const controller = new AbortController()
      const reason = new Error("enough")
      const options = {
        reuse: true,
        overwriteInUse: true,
        signal: controller.signal,
        onProgress: (event: ProgressEvent) => {
          if (event.type === "progress" && event.task === "refresh") controller.abort(reason)
        }
      }
      assert.strictEqual(await rejection(createDatastore(there, options)), reason)
      await rejectsWith("NeedsRefresh", openDatastore(there))
      assert.strictEqual((await refreshDatastore(there)).snapshots, 1)
      await using datastore = await openDatastore(there)
      assert.deepStrictEqual(await namesIn(datastore), [snapshot])
    },
    timeLimitMillis
  )
})

describe("keeping a bucket in order", () => {
  it(
    "prunes, collects, and tells what it asked for",
    async () => {
      const { bare, cached } = scene.places(server, "tidy")
      await using datastore = await createDatastore(cached("cache"))
      await backup(datastore, noise("old", 50_000))
      const kept = await backup(datastore)
      const pruned = await datastore.prune({ keep: { last: 1 } })
      assert.deepInclude(pruned, { kept: 1, removed: 1 })
      const chunks = (): ReadonlyArray<string> =>
        server.memory.keys().filter((key) => key.startsWith("tidy/.chunks/"))
      // Stored in the second in which the collection begins they might count as in use.
      const young = await datastore.collectGarbage()
      assert.strictEqual(young.removedChunks, 0)
      assert.strictEqual(young.pendingChunks + young.usedChunks, 2)
      assert.lengthOf(chunks(), 2)

      const daysAgo = new Date(Date.now() - 3 * 86_400_000)
      server.memory.age(3 * 86_400_000)
      for (const key of chunks()) {
        fs.utimesSync(path.join(cached("cache").cacheFolder, key.slice("tidy/".length)), daysAgo, daysAgo)
      }
      const planned = await datastore.collectGarbage({ dryRun: true })
      assert.deepInclude(planned, { removedChunks: 1, usedChunks: 1 })
      assert.lengthOf(chunks(), 2)
      const done = await datastore.collectGarbage()
      assert.deepInclude(done, { pendingChunks: 0, removedChunks: 1, usedChunks: 1, missingChunks: [] })
      assert.lengthOf(chunks(), 1)
      assert.isAtLeast(done.requests?.["deleteMany"] ?? 0, 1)
      assert.isTrue((await contentOf(datastore, kept)).equals(image))
      await datastore.forgetGroup("host/a")
      await using reading = await openDatastore(bare)
      assert.deepStrictEqual(await namesIn(reading), [])
    },
    timeLimitMillis
  )

  it(
    "verifies by listing, by a sample, and in full, and finds what was damaged in the bucket",
    async () => {
      const { cached } = scene.places(server, "proof")
      await using datastore = await createDatastore(cached("cache"))
      const snapshot = await backup(datastore, noise("proof", 9_000_000))
      const listed = await datastore.verify({ depth: "listed" })
      assert.deepInclude(listed, { isSound: true, chunks: 0, chunksListed: 3, sample: undefined })
      const sampled = await datastore.verify({ samplePercent: 50 })
      assert.deepInclude(sampled.sample, { percent: 50, chunks: 3, good: 2 })
      assert.deepInclude(sampled, { isSound: true, chunks: 2 })
      const full = await datastore.verify()
      assert.deepInclude(full, { isSound: true, chunks: 3, chunksListed: 0, sample: undefined })
      const key = server.memory.keys().find((name) => name.startsWith("proof/.chunks/")) ?? ""
      server.memory.delete(key, Date.now())
      fs.rmSync(path.join(cached("cache").cacheFolder, key.slice("proof/".length)))
      const broken = await datastore.verify({ depth: "listed", only: snapshot })
      assert.isFalse(broken.isSound)
      assert.strictEqual(broken.snapshots[0]?.state, "failed")
    },
    timeLimitMillis
  )
})

describe("stopping", () => {
  it(
    "rejects with the signal's reason, and leaves no snapshot in the bucket",
    async () => {
      const { bare, cached } = scene.places(server, "stopping")
      const datastore = await createDatastore(cached("cache"))
      const controller = new AbortController()
      const reason = new Error("enough")
      let pieces = 0
      const endless = async function* () {
        for (;;) {
          if ((pieces += 1) === 40) controller.abort(reason)
          yield noise(`piece ${pieces}`, 500_000)
        }
      }
      const running = datastore.backup(
        { "endless.img": endless() },
        { group: "host/a", signal: controller.signal }
      )
      assert.strictEqual(await rejection(running), reason)
      await using reading = await openDatastore(bare)
      assert.deepStrictEqual(await namesIn(reading), [])
      assert.isFalse(server.memory.keys().some((key) => key.startsWith("stopping/.cnt/host/a/2")))
      await datastore.close()
      assert.instanceOf(await rejection(backup(datastore)), ClosedError)
      // What the host left as a mark of its writing is gone as well.
      assert.isFalse(server.memory.keys().some((key) => key.startsWith("stopping/.granary/writers/")))
    },
    timeLimitMillis
  )
})

describe("importing the facade", () => {
  it("loads nothing of the S3 client", () => {
    const hook = [
      'import { registerHooks } from "node:module"',
      "registerHooks({ load(url, context, next) {",
      '  if (/node_modules\\/(@aws-sdk|@smithy)\\//.test(url)) console.log("loaded", url)',
      "  return next(url, context)",
      "} })"
    ].join("\n")
    const program = (line: string): string => {
      const flags = ["--conditions=development", "--disable-warning=ExperimentalWarning"]
      const loader = `--import=data:text/javascript,${encodeURIComponent(hook)}`
      const { status, stderr, stdout } = spawnSync(
        process.execPath,
        [...flags, loader, "--input-type=module", "--eval", line],
        { cwd: path.resolve(import.meta.dirname, ".."), encoding: "utf8" }
      )
      assert.strictEqual(status, 0, stderr)
      return stdout
    }
    assert.strictEqual(program('await import("./src/promises.ts")'), "")
    assert.include(program('await import("@aws-sdk/client-s3")'), "loaded")
  })
})
