/**
 * A store in memory keeps its obligations behind each decorator, behind all of them, and even when every request fails
 * in every way before it succeeds.
 */
import * as Effect from "effect/Effect"
import { makeBudget } from "../../../src/objectstore/decorators/Budget.ts"
import { budgeted } from "../../../src/objectstore/decorators/budgeted.ts"
import { faulty } from "../../../src/objectstore/decorators/faulty.ts"
import { logged } from "../../../src/objectstore/decorators/logged.ts"
import { metered } from "../../../src/objectstore/decorators/metered.ts"
import { rateLimited } from "../../../src/objectstore/decorators/rateLimited.ts"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import { stack } from "../../../src/objectstore/decorators/stack.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"
import { objectStoreSuite } from "../../conformance/objectStoreSuite.ts"
import type { Store } from "./scene.ts"

const suite = (
  name: string,
  decorate: (store: Store) => Effect.Effect<Store>,
  options: () => MemoryObjectStore.MemoryObjectStoreOptions = () => ({})
): void =>
  objectStoreSuite(name, {
    scene: Effect.gen(function* () {
      const bucket = new MemoryBucket()
      return {
        store: yield* decorate(MemoryObjectStore.make(bucket, options())),
        other: yield* decorate(MemoryObjectStore.make(bucket, options())),
        prefix: ObjectKey.parsePrefix("store/"),
        putForeign: (key: string) => Effect.sync(() => void bucket.put(key, new Uint8Array(1), 0))
      }
    }),
    has: { other: true, putForeign: true }
  })

const limits = {
  puts: { perSecond: 20_000 },
  requests: { perSecond: 30_000 },
  bytesIn: { perSecond: 1e9 },
  bytesOut: { perSecond: 1e9 }
}

const wide = makeBudget({
  putRequests: 1e6,
  getRequests: 1e6,
  listRequests: 1e6,
  deleteRequests: 1e6,
  bytesIn: 1e10,
  bytesOut: 1e10
})

/** Waits are kept short: the suite runs in real time. */
const retries = { baseMillis: 1, capMillis: 4, attemptsMax: 20 }

/** Each fault befalls each key once or twice. */
const everyFault = (): MemoryObjectStore.MemoryObjectStoreOptions => ({
  faults: [
    "lost request",
    "lost answer",
    "throttled",
    "unavailable",
    "late failure",
    "conflict",
    "truncated",
    "failed deletion"
  ],
  decide: MemoryObjectStore.times(2),
  retryAfterSeconds: 0.001
})

suite("rate limited", (store) => rateLimited(store, limits))
suite("budgeted", (store) => Effect.flatMap(wide, (budget) => budgeted(store, budget)))
suite("metered", (store) => metered(store))
suite("logged", logged)
suite("faulty without a fault", (store) => faulty(store, () => undefined))
suite("retrying", (store) => retrying(store, retries))
suite("retrying over every fault", (store) => retrying(store, retries), everyFault)
suite(
  "the whole stack over every fault",
  (store) =>
    Effect.flatMap(wide, (budget) =>
      stack(store, { retries: { ...retries, attemptsMax: 30 }, limits, budget })
    ),
  everyFault
)
