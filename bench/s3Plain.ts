/**
 * What Granary on S3 is compared with: the SDK by itself, so many puts or gets of the same objects at a time, and
 * nothing done with what comes; or what a caller does with each, at the same time. And the clock for both.
 */
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import * as Effect from "effect/Effect"
import { cpus } from "node:os"
import type { Place } from "../test/objectstore/s3/buckets.ts"

/** As many as Granary has under way. */
export const requestsInFlight = 12

export interface Cost {
  readonly wallSeconds: number
  /** Of this process, its threads included; the server's is not in it. */
  readonly processorSeconds: number
  /** Of the whole machine: this process, server, proxy, and whatever else is running. */
  readonly machineSeconds: number
}

const busySeconds = (): number =>
  cpus().reduce((sum, { times: { irq, nice, sys, user } }) => sum + irq + nice + sys + user, 0) / 1000

export const timed = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<Cost, E, R> =>
  Effect.gen(function* () {
    const before = process.cpuUsage()
    const busyBefore = busySeconds()
    const startMillis = performance.now()
    yield* work
    const wallSeconds = (performance.now() - startMillis) / 1000
    const { system, user } = process.cpuUsage(before)
    const machineSeconds = busySeconds() - busyBefore
    return { wallSeconds, processorSeconds: (system + user) / 1e6, machineSeconds }
  })

const makeClient = ({ accessKey, region, secretKey, url }: Place): S3Client =>
  new S3Client({
    endpoint: url,
    region,
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestHandler: new NodeHttpHandler({ httpAgent: { maxSockets: requestsInFlight, keepAlive: true } })
  })

const inParallel = <A, E = never, R = never>(
  place: Place,
  items: ReadonlyArray<A>,
  run: (client: S3Client, item: A, number: number) => Effect.Effect<unknown, E, R>,
  concurrency = requestsInFlight
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => makeClient(place)),
    (client) =>
      Effect.forEach(items, (item, number) => run(client, item, number), { concurrency, discard: true }),
    (client) => Effect.sync(() => client.destroy())
  )

export interface PlainObject {
  readonly key: string
  readonly read: () => Promise<Uint8Array>
}

const put = (client: S3Client, Bucket: string, Key: string, Body: Uint8Array) =>
  Effect.promise(() => client.send(new PutObjectCommand({ Bucket, Key, Body })))

const get = (client: S3Client, Bucket: string, Key: string) =>
  Effect.promise(async () => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
    return (await Body?.transformToByteArray()) ?? new Uint8Array(0)
  })

export const putAll = (place: Place, objects: ReadonlyArray<PlainObject>) =>
  inParallel(place, objects, (client, { key, read }) =>
    Effect.flatMap(Effect.promise(read), (body) => put(client, place.bucket, key, body))
  )

export const getAll = (place: Place, keys: ReadonlyArray<string>, concurrency = requestsInFlight) =>
  inParallel(place, keys, (client, key) => get(client, place.bucket, key), concurrency)

/** An object, and what is done with it when it was put. */
export interface Made {
  readonly key: string
  readonly body: Uint8Array
  readonly finish: Effect.Effect<void>
}

export const putEach = <E, R>(
  place: Place,
  count: number,
  make: (number: number) => Effect.Effect<Made, E, R>
) =>
  inParallel(place, Array.from({ length: count }), (client, _, number) =>
    Effect.flatMap(make(number), ({ body, finish, key }) =>
      Effect.andThen(put(client, place.bucket, key, body), finish)
    )
  )

export const getEach = <E, R>(
  place: Place,
  keys: ReadonlyArray<string>,
  use: (body: Uint8Array, number: number) => Effect.Effect<void, E, R>
) =>
  inParallel(place, keys, (client, key, number) =>
    Effect.flatMap(get(client, place.bucket, key), (body) => use(body, number))
  )
