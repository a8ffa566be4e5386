/**
 * The server of the stress test with two hosts: the double of an S3 server in a process of its own, which nobody kills.
 * It prints where it is, and answers each line with one line:
 *
 *     age SECONDS    everything that is there was put so long ago, however old it was: as with files in the folders
 *     keys           the keys of all objects, as JSON
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import * as S3Endpoint from "../../../test/s3/S3Endpoint.ts"

const say = (line: string): void => void process.stdout.write(`${line}\n`)

await Effect.gen(function* () {
  const { accessKey, bucket, memory, region, secretKey, url } = yield* S3Endpoint.start()
  say(JSON.stringify({ accessKey, bucket, region, secretKey, url }))
  yield* Effect.promise(async () => {
    for await (const line of createInterface(process.stdin)) {
      const [command, argument] = line.split(" ")
      if (command === "age") memory.date(Date.now() - Number(argument) * 1000)
      say(command === "keys" ? JSON.stringify(memory.keys()) : "done")
    }
  })
}).pipe(Effect.scoped, Effect.runPromise)
