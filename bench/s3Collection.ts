/**
 * What a garbage collection of many objects asks of the server: counted by the server, the double of the tests, over
 * HTTP. Half of the chunks are garbage, the other half too young to be.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hash } from "node:crypto"
import * as Datastore from "../src/datastore/Datastore.ts"
import * as Gc from "../src/gc/Gc.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import * as S3Endpoint from "../test/s3/S3Endpoint.ts"
import { timed } from "./s3Plain.ts"
import { create, openBucket } from "./s3Store.ts"

const threeDaysMillis = 3 * 86_400_000

export interface Collected {
  readonly objectCount: number
  readonly removedCount: number
  readonly lists: number
  readonly deletions: number
  /** Requests of any kind for a single chunk. */
  readonly forOneChunk: number
  readonly all: number
  readonly seconds: number
  readonly processorSeconds: number
}

const fill = ({ memory }: S3Endpoint.S3Endpoint, objectCount: number): void => {
  const now = Date.now()
  for (let number = 0; number < objectCount; number++) {
    const digest = hash("sha256", `chunk ${number}`)
    memory.put(
      `store/.chunks/${digest.slice(0, 4)}/${digest}`,
      Buffer.from("a chunk"),
      number % 2 === 0 ? now - threeDaysMillis : now
    )
  }
}

export const collect = (folder: string, objectCount: number) =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start()
    yield* create(folder, endpoint)
    fill(endpoint, objectCount)
    const before = endpoint.served.length
    let removedCount = 0
    const store = Layer.unwrap(
      Effect.map(openBucket(endpoint), (bucket) =>
        Datastore.layer({ path: folder, bucket, maxCacheBytes: 1e9 })
      )
    )
    const cost = yield* timed(
      Effect.map(Gc.collect(), ({ status }) => void (removedCount = status.removedChunks))
    ).pipe(Effect.provide(Layer.provideMerge(store, NodePlatform.layer)), Effect.scoped)
    const asked = endpoint.served.slice(before)
    const isOfOne = ({ key }: S3Endpoint.Served) => /\.chunks\/[0-9a-f]{4}\/[0-9a-f]{64}/.test(key)
    return {
      objectCount,
      removedCount,
      lists: asked.filter(({ operation }) => operation === "ListObjectsV2").length,
      deletions: asked.filter(({ operation }) => operation === "DeleteObjects").length,
      forOneChunk: asked.filter(isOfOne).length,
      all: asked.length,
      seconds: cost.wallSeconds,
      processorSeconds: cost.processorSeconds
    } satisfies Collected
  }).pipe(Effect.scoped)
