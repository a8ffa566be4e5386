/** A datastore in a bucket by its configured name: made, used, refreshed while nobody else is in it, and removed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails } from "../e2e/cli.ts"
import { type S3Scene, start } from "./s3Scene.ts"

const usageLine = /^s3: [\d,]+ requests? \(.*\), .* sent, .* received$/m

const backUp = (scene: S3Scene, id: string) => {
  const file = path.join(scene.folder, "a.conf")
  writeFileSync(file, `content of ${id}`)
  return scene.succeed(["backup", "-r", "cloud", "--backup-id", id, `a.conf:${file}`])
}

const make = async (scene: S3Scene): Promise<void> => {
  const backend = ["--backend", "type=s3,client=minio,bucket=test-bucket,max-cache-size=1GiB"]
  const cache = path.join(scene.folder, "cache/cloud")
  const made = await scene.succeed(["datastore", "create", "cloud", cache, ...backend])
  assert.match(made.errors, usageLine)
}

/** What the configuration says of the datastore's mode whenever the server is asked. */
const modesSeen = () => {
  const seen = new Set<string>()
  let file = ""
  const look = (): boolean => {
    const section = file === "" ? "" : readFileSync(file, "utf8")
    seen.add(/maintenance-mode (.*)/.exec(section)?.[1] ?? "none")
    return true
  }
  return { seen, look, watch: (config: string) => void (file = config) }
}

describe("a configured datastore in a bucket", () => {
  it.live("does what one in a folder does, and is refreshed alone", () =>
    Effect.suspend(() => {
      const modes = modesSeen()
      return Effect.map(start({ quirks: { isAllowed: modes.look } }), (scene) => ({ modes, scene }))
    }).pipe(
      Effect.flatMap(({ modes, scene }) =>
        Effect.promise(async () => {
          await scene.createEndpoint()
          await make(scene)
          const stored = await backUp(scene, "a")
          assert.match(stored.errors, usageLine)
          assert.include([...scene.endpoint.memory.keys()].join("\n"), "cloud/.cnt/host/a/")
          const listed = await scene.document<ReadonlyArray<unknown>>(["snapshots", "-r", "cloud"])
          assert.lengthOf(listed, 1)
          await scene.succeed(["verify", "-r", "cloud"])
          const limited = await scene.run(["verify", "-r", "cloud", "--s3-budget", "get=0"])
          assert.strictEqual(limited.code, 1, limited.errors)

          const planned = await scene.document<object>(["s3-refresh", "-r", "cloud", "--plan"])
          assert.deepInclude(planned, { groups: 1, snapshots: 1 })
          modes.watch(path.join(scene.folder, "config/granary/datastore.cfg"))
          modes.seen.clear()
          const refreshed = await scene.document<object>(["s3-refresh", "-r", "cloud"])
          assert.deepStrictEqual([...modes.seen], ["type=s3-refresh"])
          assert.deepInclude(refreshed, { groups: 1, snapshots: 1 })
          await scene.succeed(["datastore", "maintenance", "cloud", "offline"])
          await scene.succeed(["s3-refresh", "-r", "cloud"])
          const mode = await scene.succeed(["datastore", "maintenance", "cloud"])
          assert.match(mode.text, /offline maintenance mode/)
          await scene.succeed(["datastore", "maintenance", "cloud", "none"])

          await scene.succeed(["datastore", "remove", "cloud"])
          assertFails(await scene.run(["s3-refresh", "-r", "cloud"]), 1, /cloud: there is no such datastore/)
          assert.include([...scene.endpoint.memory.keys()].join("\n"), "cloud/.cnt/host/a/")
          assert.notInclude([...scene.endpoint.memory.keys()], "cloud/.in-use")
          const plain = ["--backend", "s3", "--endpoint", "minio", "--bucket", "test-bucket"]
          const cache = path.join(scene.folder, "cache/cloud")
          const create = (...flags: ReadonlyArray<string>) =>
            scene.run(["datastore", "create", "cloud", cache, "--reuse", ...flags])
          assertFails(await create("--bucket", "test-bucket"), 2, /server of the bucket is missing/)
          assertFails(await create(...plain.slice(0, 4)), 2, /the bucket is missing \(.*--bucket BUCKET/)
          assertFails(
            await create("--backend", "filesystem", "--bucket", "b"),
            2,
            /are for datastores in buckets/
          )
          assertFails(
            await create("--endpoint", "minio", "--bucket", "b,c=d"),
            2,
            /b,c=d: expected a plain value/
          )
          assertFails(await create("--endpoint", "other", "--bucket", "a-bucket"), 1, /other/)
          await scene.succeed([
            "datastore",
            "create",
            "cloud",
            cache,
            "--reuse",
            ...plain,
            "--max-cache-size",
            "2GiB"
          ])
          assert.match(
            readFileSync(path.join(scene.folder, "config/granary/datastore.cfg"), "utf8"),
            /backend type=s3,client=minio,bucket=test-bucket,max-cache-size=2GiB\n/
          )
          assert.include([...scene.endpoint.memory.keys()], "cloud/.in-use")
          assert.lengthOf(await scene.document<ReadonlyArray<unknown>>(["snapshots", "-r", "cloud"]), 1)
          await scene.succeed(["datastore", "remove", "cloud", "--destroy-data", "--yes"])
          assert.deepStrictEqual([...scene.endpoint.memory.keys()], [])
          assert.isFalse(existsSync(path.join(scene.folder, "cache/cloud/.chunks")))
        })
      )
    )
  )
})
