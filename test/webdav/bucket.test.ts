/** `granary serve-files` on a datastore in a bucket, over HTTP, on a machine that has no cache folder of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as path from "node:path"
import { tell } from "../cli/s3Scene.ts"
import { start, until } from "../e2e/cli.ts"
import * as e2e from "../e2e/s3Scene.ts"
import { scratchFolder } from "../platform/scratch.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"

interface Served {
  readonly url: string
  readonly errors: () => string
}

const serving = (words: ReadonlyArray<string>, environment: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const running = start(["serve-files", ...words, "--listen", "0", "--output", "json"], { environment })
      let [printed, errors] = ["", ""]
      running.child.stdout?.on("data", (piece: Buffer) => (printed += piece.toString()))
      running.child.stderr?.on("data", (piece: Buffer) => (errors += piece.toString()))
      await until(
        "the address of the server",
        () => printed.endsWith("}\n") || running.child.exitCode !== null
      )
      assert.match(printed, /url/, errors)
      const { url }: { readonly url: string } = JSON.parse(printed)
      const served: Served = { url, errors: () => errors }
      return { ...served, running }
    }),
    ({ running }) =>
      Effect.promise(async () => {
        running.child.kill("SIGINT")
        const ended = await running.ended
        assert.strictEqual(ended.code, 0, ended.errors)
      })
  )

const get = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
  const answer = await fetch(url, { headers })
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
}

describe("a datastore in a bucket", () => {
  it.live(
    "is served without any cache folder, and what is missing in it is told",
    () =>
      Effect.gen(function* () {
        const endpoint = yield* S3Endpoint.start()
        const host = yield* e2e.newHost({ ...endpoint })
        yield* host.on()(e2e.backUp(1))
        const contents = e2e.contents(1)
        const lost = createHash("sha256")
          .update(contents.get("f.img") ?? "")
          .digest("hex")
        for (const key of endpoint.memory.keys().filter((each) => each.endsWith(lost))) {
          endpoint.memory.delete(key, 0)
        }
        const home = yield* scratchFolder
        const environment = {
          HOME: home,
          XDG_CONFIG_HOME: path.join(home, "config"),
          XDG_CACHE_HOME: path.join(home, "cache")
        }
        const words = [...tell(endpoint), "-r", `s3:here/${endpoint.bucket}/store`]
        const { errors, url } = yield* serving(words, environment)
        yield* Effect.promise(async () => {
          const damaged = await get(`${url}host/test/latest/f.img`)
          assert.strictEqual(damaged.status, 500)
          assert.include(damaged.bytes.toString(), lost)
          for (const [name, content] of contents) {
            if (name === "f.img") continue
            const { bytes, status } = await get(`${url}host/test/latest/${name}`)
            assert.deepStrictEqual([status, bytes.equals(content)], [200, true], name)
          }
          const asked = endpoint.served.length
          const part = await get(`${url}host/test/latest/a.img`, { range: "bytes=1000-1999" })
          assert.strictEqual(part.status, 206)
          assert.isTrue(part.bytes.equals(contents.get("a.img")?.subarray(1000, 2000) ?? Buffer.alloc(0)))
          assert.isAtMost(endpoint.served.length - asked, 1, "what was read is not fetched again")
        })
        assert.isFalse(existsSync(path.join(home, "cache")), "nothing is kept")
        assert.match(errors(), new RegExp(`^warning: host/test/.*f\\.img: chunk ${lost} is missing`, "m"))
      }),
    60_000
  )
})
