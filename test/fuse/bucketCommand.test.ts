/** `granary mount` and `granary unmount` of a datastore in a bucket, as they are used. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { tell } from "../cli/s3Scene.ts"
import { until } from "../conformance/fuseDriverSubject.ts"
import * as e2e from "../e2e/s3Scene.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"
import { noMounts } from "./MountScene.ts"
import { openPrivateMounts, type PrivateMounts } from "./PrivateMounts.ts"
import { isRunning, type Ready } from "./StoreMounts.ts"

const contents = e2e.contents(1)

describe.skipIf(noMounts !== undefined)(
  `granary mount of a bucket${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    const scope = Scope.makeUnsafe()
    let mounts: PrivateMounts
    let endpoint: S3Endpoint.S3Endpoint
    let group = ""

    beforeAll(async () => {
      if (noMounts !== undefined) return
      mounts = await openPrivateMounts()
      const made = Effect.gen(function* () {
        const server = yield* S3Endpoint.start()
        const host = yield* e2e.newHost({ ...server })
        return { server, ...(yield* host.on()(e2e.backUp(1))) }
      })
      const { server, snapshot } = await Effect.runPromise(Scope.provide(made, scope))
      endpoint = server
      group = `${snapshot.group.type}/${snapshot.group.id}`
    })

    afterAll(async () => {
      mounts?.close()
      await Effect.runPromise(Scope.close(scope, Exit.void))
    })

    /** The server answers from this process, so nothing here may wait for the program in one call. */
    const run = async (...command: ReadonlyArray<string>) => {
      const child = mounts.start(...command)
      const [out, error] = [text(child.stdout!), text(child.stderr!)]
      const [code] = (await once(child, "close")) as [number | null]
      return { code, out: await out, error: await error }
    }

    /** In a home of its own. */
    const granary = (secretKey: string, ...words: ReadonlyArray<string>) => {
      const home = mounts.directory("home")
      const store = ["-r", `s3:anywhere/${endpoint.bucket}/store`, ...tell({ ...endpoint, secretKey })]
      return run("env", `HOME=${home}`, `XDG_CACHE_HOME=${home}/cache`, ...mounts.granary(...words, ...store))
    }

    it("shows what was backed up, straight from the bucket, and ends", async () => {
      const point = mounts.directory("point")
      const started = await granary(endpoint.secretKey, "mount", group, point, "--output", "json")
      assert.strictEqual(started.code, 0, started.error)
      const { pid } = JSON.parse(started.out) as Ready
      assert.deepStrictEqual(mounts.mounted(), [point])
      const files = [...contents].map(([name, content]) => ({ path: `${point}/latest/${name}`, content }))
      const { error, out } = await run("sha256sum", ...files.map(({ path }) => path))
      const expected = files.map(({ content, path }) => `${hash("sha256", content)}  ${path}\n`)
      assert.strictEqual(out, expected.join(""), error)
      const ended = await run(...mounts.granary("unmount", point))
      assert.strictEqual(ended.code, 0, ended.error)
      assert.deepStrictEqual(mounts.mounted(), [])
      await until("its process has ended", () => !isRunning(pid))
    })

    it("says why it cannot, and mounts nothing", async () => {
      const point = mounts.directory("refused")
      const { code, error } = await granary("another-key", "mount", group, point)
      assert.notStrictEqual(code, 0)
      assert.match(error, /^error: .*(?:SignatureDoesNotMatch|signature|refused|denied|secret)/im)
      assert.deepStrictEqual(mounts.mounted(), [])
    })
  }
)
