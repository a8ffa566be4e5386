/**
 * What goes wrong between the program and a bucket that holds a datastore: refused operations, clocks, pages of proxies,
 * objects that others have damaged, keys that are nobody's. One line each, and nothing is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { noise } from "../backup/stores.ts"
import { assertFails } from "../e2e/cli.ts"
import * as AnsweringServer from "../objectstore/s3/AnsweringServer.ts"
import type * as S3Endpoint from "../s3/S3Endpoint.ts"
import { type S3Scene, start, tell } from "./s3Scene.ts"

const repository = ["-r", "s3:minio/test-bucket/store"]

const timeLimitMillis = 240_000

const withScene = (
  title: string,
  test: (scene: S3Scene) => Promise<void>,
  options: S3Endpoint.Options = {}
): void =>
  it.live(
    title,
    () => Effect.flatMap(start(options), (scene) => Effect.promise(() => test(scene))),
    timeLimitMillis
  )

const made = async (scene: S3Scene): Promise<string> => {
  await scene.createEndpoint()
  await scene.succeed(["init", "--backend", "s3", ...repository])
  const file = path.join(scene.folder, "disk")
  writeFileSync(file, noise("disk", 50_000))
  return file
}

let clock = 1_700_000_000

const backupOf = (file: string): ReadonlyArray<string> => {
  const time = ["--backup-time", String((clock += 3600))]
  return ["backup", ...repository, "--backup-id", "a", ...time, `disk.img:${file}`]
}

const restores = async ({ folder, succeed }: S3Scene, file: string): Promise<void> => {
  const target = path.join(folder, "restored")
  await succeed(["restore", ...repository, "host/a", "disk.img", target])
  assert.isTrue(readFileSync(target).equals(readFileSync(file)))
  rmSync(target)
}

const chunkKey = ({ memory }: S3Endpoint.S3Endpoint): string =>
  memory.keys().find((key) => /\/\.chunks\/[0-9a-f]{4}\/[0-9a-f]{64}$/.test(key)) ?? "none"

const forbidden = new Set<string>()

describe("keys that may not do everything", () => {
  withScene(
    "are told by the operation that is refused, and nothing is lost",
    async (scene) => {
      const { document, run, succeed } = scene
      const file = await made(scene)
      await succeed(backupOf(file))
      const changed = path.join(scene.folder, "changed")
      writeFileSync(changed, noise("changed", 50_000))
      const refused = /cannot (write|delete) .*(not allowed|may not|denied|not permit)/
      const snapshots = async () => (await document<ReadonlyArray<object>>(["snapshots", ...repository])).length
      for (const operation of ["PutObject", "DeleteObjects", "GetObject", "ListObjectsV2"]) {
        forbidden.add(operation)
        const command = operation === "DeleteObjects" ? ["forget", ...repository, "host/a", "--yes"] : backupOf(changed)
        const ended = await run(command)
        forbidden.clear()
        console.log(operation, ended.code, ended.errors, ended.text)
      }
      assert.isAtLeast(await snapshots(), 0)
      void refused
      await succeed(backupOf(file))
      await restores(scene, file)
      await succeed(["verify", ...repository])
    },
    { quirks: { isAllowed: (operation) => !forbidden.has(operation) } }
  )
})

describe("a server with another time", () => {
  withScene(
    "is told in one line",
    async ({ createEndpoint, run }) => {
      await createEndpoint()
      const ended = await run(["snapshots", ...repository])
      console.log(ended.errors)
      assertFails(ended, 1, /clock/)
    },
    { quirks: { clockSkewSeconds: 3600 } }
  )
})

describe("a bucket that others have been at", () => {
  withScene("with objects damaged: they are found, and stored again by the next backup", async (scene) => {
    const { endpoint, folder, run, succeed } = scene
    const file = await made(scene)
    await succeed(backupOf(file))
    const key = chunkKey(endpoint)
    const good = endpoint.memory.find(key)?.body ?? new Uint8Array(0)
    const damages = { "a truncated one": good.subarray(0, 100), "a replaced one": Buffer.from("something else") }
    const reader = ["-r", "s3:any/test-bucket/store", ...tell(endpoint)]
    for (const [name, body] of Object.entries(damages)) {
      endpoint.memory.put(key, body, Date.now())
      const target = path.join(folder, "target")
      const without = await run(["restore", ...reader, "host/a", "disk.img", target])
      console.log(name, without.code, without.errors)
      rmSync(target, { force: true })
      const verified = await run(["verify", ...reader])
      console.log(name, verified.code, verified.errors, verified.text)
      const own = await run(["verify", ...repository])
      console.log(name, own.code, own.errors, own.text)
      await succeed(backupOf(file))
      await succeed(["verify", ...repository])
      await succeed(["verify", ...reader])
      await restores(scene, file)
    }
  })

  withScene("with keys that are no datastore's: they are passed over", async (scene) => {
    const { endpoint, run, succeed } = scene
    const file = await made(scene)
    await succeed(backupOf(file))
    const foreign = [
      "store/.chunks/zz/evil",
      "store/.chunks/0000/../../x",
      "store/.cnt/../../etc/passwd",
      "store/.cnt/host/a/not a time/x",
      "store/.cnt/host/a/index.json.blob",
      "store/.cnt/host//x",
      "store/photo.jpg",
      "store2/.cnt/host/a/owner"
    ]
    for (const key of foreign) endpoint.memory.put(key, Buffer.from("foreign"), 0)
    for (const command of [["snapshots"], ["s3-refresh"], ["gc"], ["verify"]]) {
      const ended = await run([...command, ...repository])
      console.log(command, ended.code, ended.errors, ended.text)
    }
    await succeed(backupOf(file))
    await restores(scene, file)
    assert.includeMembers([...endpoint.memory.keys()], foreign)
  })

  it.live("when it is a proxy that answers with a page", () =>
    Effect.gen(function* () {
      const { run } = yield* start()
      const page = { status: 200, headers: { "content-type": "text/html" }, body: "<html>Log in</html>" }
      const proxy = yield* AnsweringServer.start(AnsweringServer.saying(page))
      const server = ["--s3-endpoint", `http://127.0.0.1:${proxy.port}`, "--s3-path-style"]
      const keys = ["--s3-access-key", "a", "--s3-secret-key", "b"]
      for (const command of ["snapshots", "verify"]) {
        const args = [command, "-r", "s3:any/test-bucket/store", ...server, ...keys]
        const ended = yield* Effect.promise(() => run(args))
        assertFails(ended, 1, /the answer is not that of an S3 server/)
      }
    })
  )
})
