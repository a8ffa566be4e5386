/**
 * A process of its own that stands before an S3 server and makes every request wait, as a server far away would. It
 * prints its address and runs until its input ends.
 *
 * Run: node --conditions=development bench/s3Proxy.ts URL MILLISECONDS
 */
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as FaultProxy from "../test/s3/FaultProxy.ts"

const [url = "", milliseconds = "50"] = process.argv.slice(2)

const late = FaultProxy.always({ kind: "latency", milliseconds: Number(milliseconds) })

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const proxy = yield* FaultProxy.start(url, late)
      console.log(proxy.url)
      process.stdin.resume()
      yield* Effect.promise(() => once(process.stdin, "end"))
    })
  )
)
