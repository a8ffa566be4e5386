/**
 * A datastore in a bucket as its users have it: the program, a server over HTTP that checks signatures, and cache
 * folders that come and go. Once the program is a process of its own, on a datastore with all of its folders.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, type Snapshot } from "../e2e/cli.ts"
import type * as S3Endpoint from "../s3/S3Endpoint.ts"
import { type S3Scene, type SceneOptions, start, tell } from "./s3Scene.ts"

const repository = "s3:minio/test-bucket/store"

const withScene = (
  title: string,
  test: (scene: S3Scene) => Promise<void>,
  options: SceneOptions = {}
): void =>
  it.live(title, () => Effect.flatMap(start(options), (scene) => Effect.promise(() => test(scene))), 240_000)

const usageLine = /^s3: [\d,]+ requests? \(.*\), .* sent, .* received\n$/m

const makeSource = (folder: string): string => {
  const source = path.join(folder, "source")
  mkdirSync(path.join(source, "sub"), { recursive: true })
  writeFileSync(path.join(source, "hello.txt"), "hello, bucket")
  writeFileSync(
    path.join(source, "sub/noise"),
    Buffer.from(Array.from({ length: 50_000 }, (_, n) => (n * n) % 251))
  )
  return source
}

const cacheIn = (folder: string): string => path.join(folder, "cache/granary/minio/test-bucket/store")

/** Chunk objects in the bucket. */
const chunksIn = ({ memory }: S3Endpoint.S3Endpoint): ReadonlyArray<string> =>
  memory.keys().filter((key) => /^store\/\.chunks\/[0-9a-f]{4}\/[0-9a-f]{64}$/.test(key))

const made = async (scene: S3Scene): Promise<string> => {
  await scene.createEndpoint()
  await scene.succeed(["init", "--backend", "s3", "-r", repository])
  return makeSource(scene.folder)
}

describe("a datastore in a bucket", () => {
  withScene("does what one in a folder does", async (scene) => {
    const { createEndpoint, document, endpoint, folder, run, succeed } = scene
    await createEndpoint()
    const init = await document<object>([
      "init",
      "--backend",
      "s3",
      "-r",
      repository,
      "--max-cache-size",
      "1GiB"
    ])
    assert.deepInclude(init, { path: cacheIn(folder), backend: "s3" })
    assert.strictEqual(
      readFileSync(path.join(cacheIn(folder), ".granary-cache-max"), "utf8").trim(),
      "1073741824"
    )
    const source = makeSource(folder)
    const args = ["-r", repository]
    const backup = (...rest: ReadonlyArray<string>) => ["backup", ...args, "--backup-id", "a", ...rest]
    const first = await document<{ readonly snapshot: string; readonly s3: Record<string, number> }>(
      backup(`a.pxar:${source}`, `b.conf:${path.join(source, "hello.txt")}`, "--backup-time", "1700000000")
    )
    assert.isAbove(first.s3["put-requests"] ?? 0, 3)
    assert.isAbove(chunksIn(endpoint).length, 1)
    writeFileSync(path.join(source, "new"), "another file")
    const second = await succeed(backup(`a.pxar:${source}`, "--no-cache"))
    assert.match(second.errors, usageLine)

    const snapshots = await document<ReadonlyArray<Snapshot>>(["snapshots", ...args])
    assert.strictEqual(snapshots.length, 2)
    assert.include((await succeed(["ls", ...args, "host/a", "a.pxar"])).text, "hello.txt")
    assert.strictEqual(
      (await succeed(["cat", ...args, "host/a", "a.pxar", "/hello.txt"])).text,
      "hello, bucket"
    )
    await succeed(["verify", ...args])
    const target = path.join(folder, "restored")
    await succeed(["restore", ...args, "host/a", "a.pxar", target])
    assert.strictEqual(readFileSync(path.join(target, "new"), "utf8"), "another file")
    assert.isTrue(
      readFileSync(path.join(target, "sub/noise")).equals(readFileSync(path.join(source, "sub/noise")))
    )

    await succeed(["notes", ...args, first.snapshot, "the first one"])
    await succeed(["protect", ...args, first.snapshot])
    assertFails(await run(["forget", ...args, first.snapshot]), 1, /protected/)
    await succeed(["unprotect", ...args, first.snapshot])
    await succeed(["forget", ...args, first.snapshot])
    assert.notInclude(endpoint.memory.keys().join("\n"), "2023-11-14T22:13:20Z")
    await succeed(["gc", ...args])
  })

  withScene("is read without a cache folder, on a machine that knows only its address", async (scene) => {
    const { endpoint, folder, run, succeed } = scene
    const source = await made(scene)
    await succeed(["backup", "-r", repository, "--backup-id", "a", `a.pxar:${source}`])
    rmSync(cacheIn(folder), { recursive: true })
    rmSync(path.join(folder, "config"), { recursive: true })

    const told = ["-r", "s3:anything/test-bucket/store", ...tell(endpoint)]
    const before = endpoint.memory.keys()
    assert.match((await succeed(["snapshots", ...told])).text, /host\/a\//)
    const target = path.join(folder, "restored")
    const restore = await succeed(["restore", ...told, "host/a", "a.pxar", target])
    assert.match(restore.errors, usageLine)
    assert.strictEqual(readFileSync(path.join(target, "hello.txt"), "utf8"), "hello, bucket")
    await succeed(["verify", ...told])
    assert.deepStrictEqual(endpoint.memory.keys(), before)
    assert.isFalse(existsSync(path.join(folder, "cache/granary/anything")))

    for (const args of [
      ["backup", `a.pxar:${source}`],
      ["gc"],
      ["forget", "host/a", "--yes"],
      ["protect", "host/a"],
      ["notes", "host/a", "text"],
      ["prune", "--keep-last", "1"]
    ]) {
      const line =
        /s3:anything\/test-bucket\/store: writing needs a cache folder.*granary init --backend s3 .*--reuse/
      assertFails(await run([...args, ...told]), 1, line)
    }
    await succeed(["prune", "--keep-last", "1", "--dry-run", ...told])
    assert.deepStrictEqual(endpoint.memory.keys(), before)
  })

  withScene(
    "is made, filled and read by processes",
    async (scene) => {
      const source = await made(scene)
      const args = ["-r", repository]
      const backup = await scene.succeed(["backup", ...args, "--backup-id", "a", `a.pxar:${source}`])
      assert.match(backup.errors, usageLine)
      const { code, text } = await scene.run(["cat", ...args, "host/a", "a.pxar", "/hello.txt"])
      assert.deepStrictEqual([code, text], [0, "hello, bucket"])
    },
    { asProcess: true }
  )

  withScene("is shown what it has cost, and stays within what it may", async (scene) => {
    const { endpoint, run, succeed } = scene
    const source = await made(scene)
    const args = ["backup", "-r", repository, "--backup-id", "a", `a.pxar:${source}`]
    assertFails(
      await run([...args, "--s3-budget", "put=3"]),
      1,
      /it would pass the budget: 1 write requests wanted, 0 left of 3/
    )
    assert.notInclude(endpoint.memory.keys().join("\n"), "index.json.blob")
    assertFails(await run([...args, "--s3-budget", "puts=3"]), 2, /bad budget "puts=3"/)
    await succeed([...args, "--s3-budget", "put=100, in=1MiB"])
  })

  withScene("is not made where another one is, or where the server does not suit", async (scene) => {
    const { folder, run, succeed } = scene
    const source = await made(scene)
    await succeed([
      "backup",
      "-r",
      repository,
      "--backup-id",
      "a",
      `a.conf:${path.join(source, "hello.txt")}`
    ])
    const other = path.join(folder, "other")
    const init = (...args: ReadonlyArray<string>) => run(["init", "--backend", "s3", ...args])
    assertFails(await init("-r", repository, other), 1, /in use by/)
    assertFails(
      await init("-r", repository, "--overwrite-in-use", other),
      1,
      /there is a datastore of this name/
    )
    assertFails(
      await init("-r", "s3:minio/test-bucket/none", "--reuse"),
      1,
      /there is no datastore of this name/
    )
    assertFails(await init("-r", "s3:minio/test-bucket/ab"), 2, /3 to 32/)
    assertFails(await init(other), 2, /needs to know the bucket/)
    assertFails(await run(["init", "--reuse", other]), 2, /for datastores in buckets/)
    assertFails(await init("-r", "s3:minio/other-bucket/store"), 1, /no such bucket/)
    assert.isFalse(existsSync(other))
  })

  withScene("is taken over by one more machine, which sees what the others did", async (scene) => {
    const { document, folder, run, succeed } = scene
    const source = await made(scene)
    const archive = `a.conf:${path.join(source, "hello.txt")}`
    const backup = (id: string, ...rest: ReadonlyArray<string>) =>
      succeed(["backup", "-r", repository, "--backup-id", id, archive, ...rest])
    await backup("one")
    const second = path.join(folder, "second")
    const there = ["-r", repository, "--cache", second]
    assertFails(await run(["s3-refresh", ...there]), 1, /writing needs a cache folder/)
    const init = ["init", "--backend", "s3", "--reuse", "--overwrite-in-use", second]
    const taken = await succeed([...init, "-r", repository])
    assert.match(taken.text, /took over the datastore s3:minio\/test-bucket\/store/)
    assert.match(taken.text, /1 snapshot in 1 group: 3 files/)
    const groups = async (...args: ReadonlyArray<string>) => {
      const found = await document<ReadonlyArray<{ readonly "backup-id": string }>>(["groups", ...args])
      return found.map((group) => group["backup-id"]).toSorted()
    }
    assert.deepStrictEqual(await groups(...there), ["one"])
    await backup("two", "--cache", second)
    assert.deepStrictEqual(await groups("-r", repository), ["one"])
    const planned = await document<object>(["s3-refresh", "-r", repository, "--plan"])
    assert.deepInclude(planned, { snapshots: 2, groups: 2, namespaces: 0 })
    assert.deepStrictEqual(await groups("-r", repository), ["one"])
    const refreshed = await document<object>(["s3-refresh", "-r", repository])
    assert.deepInclude(refreshed, { snapshots: 2, groups: 2 })
    assert.deepStrictEqual(await groups("-r", repository), ["one", "two"])
    assertFails(await run(["s3-refresh", "-r", second]), 2, /only a datastore in a bucket/)
    const elsewhere = ["-r", "s3:minio/test-bucket/other", "--cache", second]
    assertFails(
      await run(["snapshots", ...elsewhere]),
      1,
      /this folder is the cache of s3:minio\/test-bucket\/store/
    )
  })
})

describe("a server that cannot be used", () => {
  withScene("is told in one line by every command", async (scene) => {
    const { folder, run } = scene
    await scene.createEndpoint()
    const list = (...args: ReadonlyArray<string>) => run(["snapshots", "-r", repository, ...args])
    assertFails(await list(), 1, /s3:minio\/test-bucket\/store.*not a datastore/)
    assertFails(await list("--s3-secret-key", "wrong"), 1, /does not accept the keys/)
    assertFails(await list("--s3-region", "eu-central-1"), 1, /another region/)
    assertFails(await list("--s3-endpoint", "http://192.0.2.1"), 2, /expected https/)
    assertFails(await list("--s3-endpoint", "http://127.0.0.1:1"), 1, /no connection/)
    assertFails(await run(["snapshots", "-r", "s3:minio/none-such/store"]), 1, /no such bucket/)
    assertFails(
      await run(["snapshots", "-r", "s3:none/test-bucket/store"]),
      1,
      /none: there is no such endpoint/
    )
    assertFails(await run(["snapshots", "-r", "s3:minio/test-bucket"]), 2, /s3:ENDPOINT-ID\/BUCKET\/STORE/)
    assert.deepStrictEqual(readdirSync(folder), ["config"])
  })
})
