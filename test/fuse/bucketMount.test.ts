/**
 * A datastore in a bucket, mounted by the library, over HTTP through a line that breaks: what waits, what fails, what
 * recovers; and a cache folder on a disk that is full.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { until } from "../conformance/fuseDriverSubject.ts"
import * as e2e from "../e2e/s3Scene.ts"
import { textsOf } from "../objectstore/s3/buckets.ts"
import * as FaultProxy from "../s3/FaultProxy.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"
import type { BucketMount } from "./bucketProgram.ts"
import { isRunning } from "./StoreMounts.ts"
import { closeScene, type MountScene, noMounts, openProgramScene } from "./MountScene.ts"

const waitSeconds = 1

interface Bucket {
  readonly memory: S3Endpoint.S3Endpoint["memory"]
  readonly line: FaultProxy.FaultProxy
  /** A cache folder that has made the store, as others may go on using it. */
  readonly folder: string
  readonly snapshot: string
  readonly settings: BucketMount["settings"]
}

/** A bucket with one snapshot of several images, behind a line that works. */
const bucket = Effect.gen(function* () {
  const server = yield* S3Endpoint.start()
  const host = yield* e2e.newHost({ ...server })
  const { snapshot } = yield* host.on()(e2e.backUp(1))
  const line = yield* FaultProxy.start(server.url)
  const made: Bucket = {
    memory: server.memory,
    line,
    folder: host.folder,
    snapshot: `${snapshot.group.type}/${snapshot.group.id}/${snapshot.directory}`,
    settings: textsOf({ ...server, url: line.url })
  }
  return made
})

const mount = (
  { settings }: Bucket,
  options: Partial<BucketMount> = {},
  prepare = ""
): Promise<MountScene> => {
  const request: BucketMount = { settings, store: "store", waitSeconds, ...options }
  return openProgramScene({ program: "bucketProgram.ts", parameters: [JSON.stringify(request)], prepare })
}

const contents = e2e.contents(1)
const digestOf = (name: string) =>
  createHash("sha256")
    .update(contents.get(name) ?? "")
    .digest("hex")

/** What reading an image comes to: `whole`, or an error's code. */
const readAll = async (scene: MountScene, { snapshot }: Bucket, name: string): Promise<string> => {
  const expected = contents.get(name) ?? Buffer.alloc(0)
  const read = { do: "read", offset: 0, lengthBytes: expected.length + 10 }
  const { code, value } = await scene.look(`${snapshot}/${name}`, read)
  if (code !== undefined) return code
  return Buffer.from(String(value), "base64").equals(expected) ? "whole" : "something else"
}

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const isMounted = ({ driver: { child } }: MountScene): boolean =>
  readFileSync(`/proc/${child.pid ?? 0}/mountinfo`, "utf8").includes("fuse.granary")

const away = FaultProxy.always({ kind: "reset before" })

/** What is no longer in the bucket, and what is another thing there. */
const [missing, damaged] = ["b.img", "c.img"]

/** A folder on a file system of its own, which is full to the last block. */
const fullDisk = ({ folder }: Bucket): string =>
  [
    "mount -t tmpfs -o size=8m none /mnt",
    `cp -a "${folder}" /mnt/cache`,
    "find /mnt/cache/.chunks -type f -size +0 -exec truncate -s 0 {} +",
    "dd if=/dev/zero of=/mnt/filler bs=4k 2> /dev/null || true"
  ].join("\n")

describe.skipIf(noMounts !== undefined)(
  `a bucket that is mounted by the library${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    const scope = Scope.makeUnsafe()
    const scenes: Array<MountScene> = []
    let store: Bucket
    let scene: MountScene
    const read = (name: string, where = scene) => readAll(where, store, name)

    const expected = (name: string) => ([missing, damaged].includes(name) ? "EIO" : "whole")

    beforeAll(async () => {
      if (noMounts !== undefined) return
      store = await Effect.runPromise(Scope.provide(bucket, scope))
      const keyOf = (name: string) =>
        store.memory.keys().find((key) => key.endsWith(digestOf(name))) ?? `no object of ${name}`
      store.memory.delete(keyOf(missing), 0)
      store.memory.put(keyOf(damaged), Buffer.alloc(1000, 7), 0)
      scene = await mount(store)
      scenes.push(scene)
    })

    afterAll(async () => {
      scenes.forEach(closeScene)
      await Effect.runPromise(Scope.close(scope, Exit.void))
    })

    it("fails what a missing or damaged object held, tells of it once, and nothing else", async () => {
      for (const name of ["large.img", "a.img", missing, damaged]) {
        assert.strictEqual(await read(name), expected(name), name)
      }
      for (const name of [missing, damaged]) {
        const told = new RegExp(`warn: .*${store.snapshot} ${name}: .*${digestOf(name)}`)
        await until("the log tells of it", () => told.test(scene.driver.log))
        assert.strictEqual(scene.driver.log.split(digestOf(name)).length, 2, "told once")
      }
    })

    it("is waited for while it is away, fails reads after a while, and is read again", async () => {
      // Away for less than the limit.
      store.line.follow(away)
      const waiting = read("d.img")
      await pause(500)
      store.line.follow(FaultProxy.nothing)
      assert.strictEqual(await waiting, "whole")
      // Away for longer. What was read already can be read all the time.
      store.line.follow(away)
      const beganMillis = performance.now()
      assert.strictEqual(await read("e.img"), "EIO")
      assert.isAbove(performance.now() - beganMillis, waitSeconds * 900)
      assert.strictEqual(await read("a.img"), "whole")
      store.line.follow(FaultProxy.always({ kind: "status", status: 503 }))
      assert.strictEqual(await read("f.img"), "EIO")
      store.line.follow(FaultProxy.nothing)
      for (const name of contents.keys()) assert.strictEqual(await read(name), expected(name), name)
    })

    it("is read without its cache folder when the disk of that is full", async () => {
      const full = await mount(store, { cacheFolder: "/mnt/cache" }, fullDisk(store))
      scenes.push(full)
      for (const name of contents.keys()) assert.strictEqual(await read(name, full), expected(name), name)
    })

    it("is unmounted when the scope of the layer ends, and when its program is killed", async () => {
      const [, other = scene] = scenes
      assert.strictEqual(await scene.driver.ask("driver"), "kernel")
      assert.isTrue(isMounted(scene))
      assert.strictEqual(await scene.driver.ask("stop"), "ended")
      await until("nothing is mounted", () => scene.driver.child.exitCode === 0 || !isMounted(scene))
      // Another mount of the same store goes on.
      assert.strictEqual(await read("large.img", other), "whole")
      const pid = Number(await other.driver.ask("pid"))
      assert.isTrue(isRunning(pid))
      other.driver.kill()
      await until("the mount's process has ended", () => !isRunning(pid))
    })
  }
)
