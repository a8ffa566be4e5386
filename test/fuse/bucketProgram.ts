/**
 * A program that mounts a datastore in a bucket by the library, as a layer, for as long as it runs:
 * `bucketProgram.ts MOUNTPOINT OPTIONS`, the options as JSON (`BucketMount`). It says `ready`, answers `pid` and
 * `driver` when it is asked for them, and ends when it is told to `stop`, or when nobody asks any more.
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import * as Mount from "../../src/fuse/Mount.ts"
import * as S3Settings from "../../src/objectstore/s3/S3Settings.ts"

export interface BucketMount {
  readonly settings: S3Settings.SettingTexts
  readonly store: string
  readonly waitSeconds: number
  readonly cacheFolder?: string
}

const [mountpoint = "", json = "{}"] = process.argv.slice(2)

/** Nothing but the test gives it. */
const options = JSON.parse(json) as BucketMount

const mounted = Mount.Mount.layer({
  store: {
    kind: "bucket",
    settings: S3Settings.decode(options.settings),
    store: options.store,
    title: "bucket",
    ...(options.cacheFolder === undefined ? {} : { cacheFolder: options.cacheFolder })
  },
  mountpoint,
  tree: { waitSeconds: options.waitSeconds, validSeconds: 1 }
})

const program = Effect.gen(function* () {
  const { driver, pid } = yield* Mount.Mount
  console.log("ready")
  const answers: Readonly<Record<string, string>> = { pid: String(pid), driver }
  const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    if (line.done === true || line.value === "stop") return
    console.log(answers[line.value] ?? "what?")
  }
})

await Effect.runPromise(Effect.provide(program, mounted))
console.log("ended")
process.stdin.destroy()
