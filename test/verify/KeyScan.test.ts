/** KeyScan: finds exactly what is there, with no more requests than a whole listing takes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import * as KeyScan from "../../src/verify/KeyScan.ts"

const prefix = ObjectKey.parsePrefix("s/.chunks/")

const keyOf = (number: number): ObjectKey.ObjectKey => {
  const name = number.toString(16).padStart(8, "0")
  return ObjectKey.join(prefix, `${name.slice(4)}/${name.slice(4)}${name.slice(0, 4)}`)
}

const scan = (objects: ObjectStore["Service"], wanted: ReadonlyArray<ObjectKey.ObjectKey>) => {
  const told: Array<readonly [number, number | undefined]> = []
  const counts = { requests: 0, objects: 0 }
  return KeyScan.scan(
    objects,
    prefix,
    { count: wanted.length, keyAt: (number) => wanted[number] ?? ObjectKey.parse("none") },
    (number, object) => void told.push([number, object?.sizeBytes]),
    counts
  ).pipe(Effect.as({ told, counts }))
}

const sorted = (numbers: ReadonlyArray<number>) => [...new Set(numbers)].map(keyOf).sort(ObjectKey.compare)

describe("KeyScan", () => {
  it("tells of every wanted key once, in order, whether it is there and how large", async () => {
    const number = fc.nat({ max: 300 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(number, { maxLength: 60 }),
        fc.array(number, { maxLength: 60 }),
        fc.integer({ min: 1, max: 12 }),
        async (present, wantedNumbers, pageSizeMax) => {
          const bucket = new MemoryBucket()
          const there = sorted(present)
          there.forEach((key, at) => bucket.put(key, new Uint8Array(at + 1), 0))
          bucket.put("s/.chunks/zzzz/other", new Uint8Array(1), 0)
          bucket.put("s/.cnt/x", new Uint8Array(1), 0)
          const wanted = sorted(wantedNumbers)
          const objects = MemoryObjectStore.make(bucket, { pageSizeMax })
          const { counts, told } = await Effect.runPromise(scan(objects, wanted))
          assert.deepStrictEqual(
            told,
            wanted.map((key, at) => {
              const size = there.indexOf(key) + 1
              return [at, size === 0 ? undefined : size] as const
            })
          )
          assert.isAtMost(counts.requests, Math.ceil((there.length + 1) / pageSizeMax) + 1)
          assert.isAtMost(counts.requests, wanted.length)
        }
      ),
      { numRuns: 500 }
    )
  })

  it.effect("a page that cannot be had ends it; the keys from there on are not told of", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const keys = sorted(Array.from({ length: 25 }, (_, number) => number))
      for (const key of keys) bucket.put(key, new Uint8Array(1), 0)
      let lists = 0
      const objects = MemoryObjectStore.make(bucket, {
        pageSizeMax: 10,
        faults: ["unavailable"],
        decide: () => ++lists > 2
      })
      const told: Array<number> = []
      const counts = { requests: 0, objects: 0 }
      const error = yield* Effect.flip(
        KeyScan.scan(
          objects,
          prefix,
          { count: keys.length, keyAt: (number) => keys[number] ?? ObjectKey.parse("none") },
          (number) => void told.push(number),
          counts
        )
      )
      assert.strictEqual(error.reason, "Unavailable")
      assert.deepStrictEqual(
        told,
        Array.from({ length: 20 }, (_, number) => number)
      )
      assert.deepStrictEqual(counts, { requests: 2, objects: 20 })
    })
  )
})
