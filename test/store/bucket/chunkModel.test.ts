/**
 * BucketChunks under any course of events on two hosts, with requests that fail or whose answers are lost: what a host
 * believes is true, and what was acknowledged is there.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import { digestOf } from "../../../src/platform/chunkContent.ts"
import * as DataBlob from "../../../src/format/DataBlob.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { chunkOf, softData } from "../../platform/chunks.ts"
import {
  blobOf,
  damaged,
  failing,
  type Host,
  keyText,
  losing,
  openHost,
  pathOf,
  wanted
} from "./chunkScene.ts"

const chunks = [chunkOf(softData(1)), chunkOf(softData(2))]
const plain = (number: number) => ({ ...chunks[number]!, compress: false })

const requests = ["put", "putIfAbsent", "get", "head", "copy", "deleteMany"]
const faults = {
  none: () => undefined,
  lost: failing("Disconnected", requests),
  throttled: failing("Throttled", requests),
  "answer lost": losing(requests),
  conflict: failing("Conflict", ["putIfAbsent"])
} as const

const acts = ["insert", "insert plain", "read", "check", "condemn", "evict", "tear", "sweep"] as const

const step = FastCheck.record({
  host: FastCheck.nat(1),
  chunk: FastCheck.nat(1),
  act: FastCheck.constantFrom(...acts),
  /** The request that suffers it. */
  at: FastCheck.nat(4),
  fault: FastCheck.constantFrom(...(Object.keys(faults) as Array<keyof typeof faults>))
})

type Step = typeof step extends FastCheck.Arbitrary<infer A> ? A : never

const isPresent = (host: Host, number: number): boolean => host.content(chunks[number]!) !== undefined

/** As a collection of this host would, undisturbed: the name goes first, and the object with it. */
const sweep = (host: Host, bucket: MemoryBucket, number: number) =>
  host.guards.guard(chunks[number]!.digest)(
    Effect.sync(() => {
      if (isPresent(host, number)) host.disk.unlink(pathOf(chunks[number]!), 0)
      bucket.delete(keyText(chunks[number]!), 0)
    })
  )

const perform = (
  host: Host,
  bucket: MemoryBucket,
  { act, chunk: number }: Step
): Effect.Effect<unknown, Error> => {
  const chunk = chunks[number]!
  switch (act) {
    case "insert":
      return host.chunks.insert(chunk)
    case "insert plain":
      return host.chunks.insert(plain(number))
    case "read":
      return Effect.map(host.chunks.read(wanted(chunk)), (data) =>
        assert.strictEqual(digestOf(data, undefined), chunk.digest)
      )
    case "check":
      return host.chunks.check(wanted(chunk))
    case "condemn":
      return host.chunks.condemn(wanted(chunk))
    case "evict":
      return Effect.sync(() =>
        isPresent(host, number) ? host.lay(chunk.digest, new Uint8Array(0)) : undefined
      )
    case "tear":
      return Effect.sync(() =>
        isPresent(host, number) ? host.lay(chunk.digest, damaged(blobOf(chunk))) : undefined
      )
    case "sweep":
      return sweep(host, bucket, number)
  }
}

const run = (steps: ReadonlyArray<Step>, hostCount: number) =>
  Effect.gen(function* () {
    const bucket = new MemoryBucket()
    const names = ["one", "two"].slice(0, hostCount)
    const hosts = yield* Effect.forEach(names, (name) => openHost(bucket, { name }, chunks))
    for (const current of steps) {
      const host = hosts[current.host % hostCount]!
      let count = 0
      host.server.answer = (request, pass) =>
        count++ === current.at ? faults[current.fault](request, pass) : undefined
      const exit = yield* Effect.exit(perform(host, bucket, current))
      host.server.answer = () => undefined
      for (const [number, chunk] of chunks.entries()) {
        const body = bucket.find(keyText(chunk))?.body
        // Nothing damages objects here: what is there is good.
        if (body !== undefined) {
          assert.strictEqual(digestOf(DataBlob.decode(body), undefined), chunk.digest)
        }
        // Other hosts learn of removals from the generation, which is not in this scene.
        if (isPresent(host, number) && hostCount === 1) assert.isDefined(body, "a name without its object")
        assert.isTrue(host.names(chunk).every((name) => !name.includes(".tmp_")))
      }
      if (current.act.startsWith("insert") && exit._tag === "Success" && hostCount === 1) {
        assert.isDefined(bucket.find(keyText(chunks[current.chunk]!)), "acknowledged and not there")
      }
      assert.isTrue(exit._tag === "Success" || exit.cause.reasons.every(({ _tag }) => _tag === "Fail"))
    }
  })

describe("BucketChunks in any course of events", () => {
  for (const hostCount of [1, 2]) {
    it.live(`${hostCount} host(s)`, () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(FastCheck.array(step, { maxLength: 25 }), (steps) =>
            Effect.runPromise(Effect.scoped(run(steps, hostCount)))
          ),
          { numRuns: 150 }
        )
      )
    )
  }
})
