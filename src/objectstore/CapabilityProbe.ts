/**
 * Finds out what an object store really does, before anything of value relies on it: servers exist that accept a
 * condition and overwrite all the same, that list what they kept a minute ago, or whose clock is an hour off.
 *
 * The probe works on a few small objects below `<prefix>.granary-probe/`, in a folder of its own for each run, and
 * removes them in the end, also when it is interrupted. It never fails: what cannot be found out is a verdict that is
 * not ok. Verdicts come in a fixed order, and the last one says whether everything was removed.
 *
 * Give it the store as it is used: with retries around it, a lost packet is no verdict on the server.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { randomHex } from "../platform/Entropy.ts"
import * as ClockSkew from "./ClockSkew.ts"
import * as ObjectKey from "./ObjectKey.ts"
import { deleteOne, ObjectStore, pages } from "./ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "./ObjectStoreError.ts"

export type Check =
  | "read after write"
  | "conditional put"
  | "list after write"
  | "batch delete"
  | "range read"
  | "clock skew"
  | "clean up"

export interface Verdict {
  readonly check: Check
  readonly ok: boolean
  readonly detail: string
}

/**
 * `honoured`: as the port demands. `unsupported`: the server says that it cannot. `broken`: it says that it can, and
 * does something else. `unknown`: something came in between; the verdict's detail says what.
 */
export type Capability = "honoured" | "unsupported" | "broken" | "unknown"

export interface CapabilityReport {
  readonly verdicts: ReadonlyArray<Verdict>
  readonly readAfterWrite: Capability
  readonly conditionalPut: Capability
  readonly listAfterWrite: Capability
  readonly batchDelete: Capability
  readonly rangeRead: Capability
  /** Undefined when it could not be measured. */
  readonly clockSkew: ClockSkew.ClockSkew | undefined
}

export interface ProbeOptions {
  /** How many objects are written and deleted to catch a listing that lags. Default 5. */
  readonly rounds?: number
  /** The largest difference between the clocks that is ok. Default 300, the margin that garbage collection keeps. */
  readonly clockSkewMaxSeconds?: number
}

interface Finding {
  readonly capability: Capability
  readonly detail: string
}

interface Scene {
  readonly store: ObjectStore["Service"]
  readonly folder: ObjectKey.KeyPrefix
  /** Everything that was ever written, so that it can be removed. */
  readonly keys: Set<ObjectKey.ObjectKey>
  readonly rounds: number
}

const bodyMaxBytes = 64

const bytes = (text: string): Uint8Array => Buffer.from(text)

const found = (capability: Capability, detail: string): Finding => ({ capability, detail })

/** A name of the probe's own; whoever asks for one is about to write it. */
const newKey = ({ folder, keys }: Scene, name: string): ObjectKey.ObjectKey => {
  const key = ObjectKey.join(folder, name)
  keys.add(key)
  return key
}

const readText = ({ store }: Scene, key: ObjectKey.ObjectKey) =>
  Effect.map(store.get(key, bodyMaxBytes), (body) => Buffer.from(body).toString())

const orUnknown = (check: Effect.Effect<Finding, ObjectStoreError>): Effect.Effect<Finding> =>
  check.pipe(
    Effect.catch((error) =>
      Effect.succeed(found(error.reason === "NotImplemented" ? "unsupported" : "unknown", error.message))
    )
  )

const readAfterWrite = (scene: Scene) =>
  Effect.gen(function* () {
    const key = newKey(scene, "object")
    yield* scene.store.put(key, bytes("old"))
    yield* scene.store.put(key, bytes("new content"))
    const text = yield* readText(scene, key)
    const { sizeBytes } = yield* scene.store.head(key)
    return text === "new content" && sizeBytes === text.length
      ? found("honoured", "what was written is read back")
      : found("broken", "reading gives something else than what was written last")
  })

const conditionalPut = (scene: Scene) =>
  Effect.gen(function* () {
    const key = newKey(scene, "conditional")
    // Our own write may be found present already, when its answer was lost and a retry asked again.
    yield* scene.store.putIfAbsent(key, bytes("first"))
    const second = yield* scene.store.putIfAbsent(key, bytes("second"))
    const text = yield* readText(scene, key)
    return second.outcome === "present" && text === "first"
      ? found("honoured", "what is there is never overwritten")
      : found("broken", "the server overwrites an object although it was asked not to")
  })

const isListed = ({ store, folder }: Scene, key: ObjectKey.ObjectKey) =>
  Effect.map(Stream.runCollect(pages(store, folder)), (all) =>
    all.some(({ objects }) => objects.some((object) => object.key === key))
  )

const listAfterWrite = (scene: Scene) =>
  Effect.gen(function* () {
    let missing = 0
    let lingering = 0
    for (let round = 0; round < scene.rounds; round++) {
      const key = newKey(scene, `listed-${round}`)
      yield* scene.store.put(key, bytes("x"))
      if (!(yield* isListed(scene, key))) missing += 1
      yield* deleteOne(scene.store, key)
      if (yield* isListed(scene, key)) lingering += 1
    }
    const of = `of ${scene.rounds}`
    return missing + lingering === 0
      ? found("honoured", `${scene.rounds} new objects were listed at once, and gone at once when deleted`)
      : found(
          "broken",
          `listings lag: ${missing} ${of} new objects were missing, ${lingering} ${of} deleted ones still there`
        )
  })

const isGone = ({ store }: Scene, key: ObjectKey.ObjectKey) =>
  store.head(key).pipe(
    Effect.as(false),
    Effect.catchIf(isNotFound, () => Effect.succeed(true))
  )

const batchDelete = (scene: Scene) =>
  Effect.gen(function* () {
    const keys = ["batch-0", "batch-1", "batch-2"].map((name) => newKey(scene, name))
    for (const key of keys) yield* scene.store.put(key, bytes("x"))
    const { failed } = yield* scene.store.deleteMany([...keys, newKey(scene, "never-written")])
    const [failure] = failed
    if (failure !== undefined) return found("unknown", failure.error.message)
    const gone = yield* Effect.forEach(keys, (key) => isGone(scene, key))
    return gone.every(Boolean)
      ? found("honoured", "many objects are deleted by one request")
      : found("broken", "the server says that it deleted objects which are still there")
  })

const rangeRead = (scene: Scene) =>
  Effect.gen(function* () {
    const key = newKey(scene, "range")
    yield* scene.store.put(key, bytes("0123456789"))
    const inside = yield* scene.store.getRange(key, { offset: 2, lengthBytes: 3 })
    const atEnd = yield* scene.store.getRange(key, { offset: 8, lengthBytes: 9 })
    return Buffer.from(inside).toString() === "234" && Buffer.from(atEnd).toString() === "89"
      ? found("honoured", "parts of an object can be read")
      : found("broken", "reading a part of an object gives other bytes")
  })

const clockSkew = (scene: Scene) =>
  Effect.gen(function* () {
    const key = newKey(scene, "clock")
    const samples: Array<ClockSkew.ClockSample> = []
    for (let round = 0; round < scene.rounds; round++) {
      const beginMillis = yield* Clock.currentTimeMillis
      yield* scene.store.put(key, bytes("x"))
      const endMillis = yield* Clock.currentTimeMillis
      const { lastModifiedSeconds: storeSeconds } = yield* scene.store.head(key)
      samples.push({ beginMillis, endMillis, storeSeconds })
    }
    return ClockSkew.measure(samples)
  })

/** The verdict on the clock, and the bounds it speaks of. */
const judgeClock = (scene: Scene, maxSeconds: number) =>
  clockSkew(scene).pipe(
    Effect.map((skew) =>
      skew === undefined
        ? { skew, ok: false, detail: "one of the clocks was set meanwhile" }
        : {
            skew,
            ok: ClockSkew.worstSeconds(skew) <= maxSeconds,
            detail: `the server's clock is ${ClockSkew.format(skew)} ahead, at most ${maxSeconds} s are good`
          }
    ),
    Effect.catch((error) => Effect.succeed({ skew: undefined, ok: false, detail: error.message }))
  )

/** By one request where that works, else one by one; answers what could not be removed. */
const cleanUp = ({ store, folder, keys }: Scene): Effect.Effect<Omit<Verdict, "check">> =>
  Effect.gen(function* () {
    const all = [...keys]
    const isDone = yield* Effect.match(store.deleteMany(all), {
      onFailure: () => false,
      onSuccess: ({ failed }) => failed.length === 0
    })
    const removed = { ok: true, detail: "the probe's objects are removed" }
    if (isDone) return removed
    const [, failures] = yield* Effect.partition(all, (key) => deleteOne(store, key))
    const [failure] = failures
    return failure === undefined
      ? removed
      : {
          ok: false,
          detail: `${failures.length} objects may be left below ${folder}: ${failure.message}`
        }
  })

const verdictOf = (check: Check, { capability, detail }: Finding): Verdict => ({
  check,
  ok: capability === "honoured",
  detail
})

const examine = (scene: Scene, options: ProbeOptions) =>
  Effect.gen(function* () {
    const findings = {
      readAfterWrite: yield* orUnknown(readAfterWrite(scene)),
      conditionalPut: yield* orUnknown(conditionalPut(scene)),
      listAfterWrite: yield* orUnknown(listAfterWrite(scene)),
      batchDelete: yield* orUnknown(batchDelete(scene)),
      rangeRead: yield* orUnknown(rangeRead(scene))
    }
    const { skew, ok, detail } = yield* judgeClock(scene, options.clockSkewMaxSeconds ?? 300)
    const cleaned = yield* cleanUp(scene)
    return {
      readAfterWrite: findings.readAfterWrite.capability,
      conditionalPut: findings.conditionalPut.capability,
      listAfterWrite: findings.listAfterWrite.capability,
      batchDelete: findings.batchDelete.capability,
      rangeRead: findings.rangeRead.capability,
      clockSkew: skew,
      verdicts: [
        verdictOf("read after write", findings.readAfterWrite),
        verdictOf("conditional put", findings.conditionalPut),
        verdictOf("list after write", findings.listAfterWrite),
        verdictOf("batch delete", findings.batchDelete),
        verdictOf("range read", findings.rangeRead),
        { check: "clock skew", ok, detail },
        { check: "clean up", ...cleaned }
      ]
    } satisfies CapabilityReport
  })

const nameBytes = 8

/** Examines the store behind the port, below the prefix that the datastore will use. */
export const probe = (
  prefix: ObjectKey.KeyPrefix,
  options: ProbeOptions = {}
): Effect.Effect<CapabilityReport, never, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const name = yield* randomHex(nameBytes)
    const folder = ObjectKey.joinPrefix(prefix, `.granary-probe/${name}/`)
    const scene: Scene = { store, folder, keys: new Set(), rounds: Math.max(1, options.rounds ?? 5) }
    return yield* Effect.onInterrupt(examine(scene, options), () => cleanUp(scene))
  })
