/**
 * S3Examination: everything that `granary s3 check` finds out about a bucket, in the order in which it matters:
 * whether there is a server, whether it takes the keys, whether the bucket is there, what the server keeps, how fast it
 * is. What one failure makes pointless is not asked any more.
 */
import * as Effect from "effect/Effect"
import * as CapabilityProbe from "../objectstore/CapabilityProbe.ts"
import * as ObjectKey from "../objectstore/ObjectKey.ts"
import { ObjectStore } from "../objectstore/ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreReason } from "../objectstore/ObjectStoreError.ts"
import * as SpeedProbe from "../objectstore/SpeedProbe.ts"
import * as StoreKeys from "../objectstore/StoreKeys.ts"
import * as Format from "./Format.ts"
import type { parseBucket } from "./RepositoryName.ts"
import * as S3Connection from "./S3Connection.ts"

export interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
}

/** Those before all others: the first that fails is the last. */
export const steps = ["connection", "credentials", "bucket"] as const

type Step = (typeof steps)[number]

const details: Record<Step, string> = {
  connection: "an S3 server answers",
  credentials: "the server accepts the keys",
  bucket: "the bucket can be listed"
}

/** Which step a failure of the first request speaks of; those before it were taken. */
const stepOf: Partial<Record<ObjectStoreReason, Step>> = {
  Unreachable: "connection",
  Disconnected: "connection",
  Untrusted: "connection",
  NotS3: "connection",
  Unavailable: "connection",
  WrongKeys: "credentials",
  ExpiredKeys: "credentials",
  WrongClock: "credentials"
}

const reached = (failed: Step | undefined, error?: ObjectStoreError): ReadonlyArray<Finding> => {
  const taken = failed === undefined ? steps : steps.slice(0, steps.indexOf(failed))
  const good = taken.map((check) => ({ check, ok: true, detail: details[check] }))
  return failed === undefined || error === undefined
    ? good
    : [...good, { check: failed, ok: false, detail: `${error.message} (${error.hint})` }]
}

const millis = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`

const latencyText = ({ get, list, put }: SpeedProbe.SpeedReport): string =>
  Object.entries({ write: put, read: get, list })
    .map(
      ([name, { medianMillis, worstMillis }]) =>
        `${name} ${millis(medianMillis)} (worst ${millis(worstMillis)})`
    )
    .join(", ")

const throughputText = ({ concurrency, download, upload }: SpeedProbe.SpeedReport): string =>
  `${Format.bytes(upload.bytesPerSecond)}/s up, ${Format.bytes(download.bytesPerSecond)}/s down, ` +
  `${concurrency} requests at a time`

/** Figures are never bad; that they could not be had is. */
const speed = (prefix: ObjectKey.KeyPrefix): Effect.Effect<ReadonlyArray<Finding>, never, ObjectStore> =>
  SpeedProbe.probe(prefix).pipe(
    Effect.map((report) => [
      { check: "latency", ok: true, detail: latencyText(report) },
      { check: "throughput", ok: true, detail: throughputText(report) }
    ]),
    Effect.catch((error) => Effect.succeed([{ check: "latency", ok: false, detail: error.message }]))
  )

/** Everything about the bucket, below the store's prefix where there is one. */
export const examine = ({ endpoint, bucket, store }: ReturnType<typeof parseBucket>) =>
  Effect.gen(function* () {
    const settings = yield* S3Connection.settingsOf(endpoint, bucket)
    const { patient, plain } = yield* S3Connection.connectBoth(settings)
    const prefix = store === undefined ? ObjectKey.everything : StoreKeys.storePrefix(store)
    const error = yield* Effect.match(patient.list({ prefix, pageSize: 1 }), {
      onFailure: (failure) => failure,
      onSuccess: () => undefined
    })
    if (error !== undefined) return reached(stepOf[error.reason] ?? "bucket", error)
    const { verdicts } = yield* Effect.provideService(CapabilityProbe.probe(prefix), ObjectStore, patient)
    const figures = yield* Effect.provideService(speed(prefix), ObjectStore, plain)
    return [...reached(undefined), ...verdicts, ...figures]
  })
