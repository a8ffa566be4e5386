/** What tests of the Promise facade share: what promises reject with, and datastores in a bucket behind a server. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { type BucketPlace, type CachedPlace, type Datastore, StoreError } from "../src/promises.ts"
import { noise } from "./backup/stores.ts"
import * as S3Endpoint from "./s3/S3Endpoint.ts"

// A datastore has 65,536 folders from the start: in memory they cost next to nothing.
const memory = "/dev/shm"

export const makeFolder = (): string =>
  fs.mkdtempSync(path.join(fs.existsSync(memory) ? memory : tmpdir(), "granary-promises-"))

/** The error that a promise rejects with. */
export const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("it did not reject")
}

export const rejectsWith = async (
  reason: StoreError["reason"],
  promise: Promise<unknown>
): Promise<StoreError> => {
  const error = await rejection(promise)
  assert.instanceOf(error, StoreError)
  assert.strictEqual(error.reason, reason)
  return error
}

export const collect = async <A>(elements: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: Array<A> = []
  for await (const element of elements) all.push(element)
  return all
}

export const namesIn = async (datastore: Datastore): Promise<ReadonlyArray<string>> =>
  (await collect(datastore.snapshots())).map(({ name }) => name)

export const image = noise("image", 100_000)

export const contentOf = async (datastore: Datastore, snapshot: string): Promise<Buffer> =>
  Buffer.concat(await collect(datastore.readArchive(snapshot, "disk.img")))

let clock = Date.UTC(2026, 0, 1)

/** An hour later each time. */
export const backup = async (datastore: Datastore, content: Uint8Array = image): Promise<string> => {
  const time = new Date((clock += 3_600_000))
  return (await datastore.backup({ "disk.img": [content] }, { group: "host/a", time })).snapshot
}

/** Servers and cache folders, gone in the end. */
export class BucketScene implements AsyncDisposable {
  readonly folder = makeFolder()
  readonly #scope = Scope.makeUnsafe()

  startServer(options: S3Endpoint.Options = {}): Promise<S3Endpoint.S3Endpoint> {
    return Effect.runPromise(Scope.provide(S3Endpoint.start(options), this.#scope))
  }

  /** A datastore, with a cache folder and without. */
  places(endpoint: S3Endpoint.S3Endpoint, store: string) {
    const { accessKey, bucket, region, secretKey, url } = endpoint
    const s3 = { bucket, endpoint: url, region, pathStyle: true, accessKey, secretKey }
    const bare: BucketPlace = { s3, store }
    const cached = (name: string): CachedPlace => ({
      ...bare,
      cacheFolder: path.join(this.folder, `${store}-${name}`)
    })
    return { bare, cached }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}
