/**
 * Tries failed requests again, as long as that can help (`Retries`). A page of a listing, a range, a batch of
 * deletions is tried again alone, never what it is a part of.
 *
 * Writing again is harmless as long as nobody else writes the key: the same body is put, the same objects are deleted.
 * Whoever shares a key with other writers holds a guard on it anyway, for a request whose answer was lost may also be
 * carried out late.
 *
 * `putIfAbsent` is different: after an attempt whose answer was lost, `present` may mean our own object. So it is
 * looked at, read if it has the size, and compared: equal bytes are told as `created`. Each of these requests is tried
 * again by itself; the body is sent again only when the object turns out to be gone. For keys that are made from
 * their content, as those of chunks, this is sound whoever wrote them, since `created` promises no more than that these
 * bytes are there. For a key that stands for a claim (a lock, a mark of use) it is sound only if the body names its
 * writer, by a random part for example; otherwise two that wrote the same words would both be told that they won.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ObjectKey } from "../ObjectKey.ts"
import { ObjectStore, present, type PutOutcome } from "../ObjectStore.ts"
import { isNotFound, ObjectStoreError } from "../ObjectStoreError.ts"
import { retriedDeletion } from "./retriedDeletion.ts"
import { defaultAttemptsMax, inCourse, newCourse, retry, type RetryOptions } from "./Retries.ts"

export type { RetryOptions }

type Store = ObjectStore["Service"]

/** Undefined when it has gone meanwhile. */
const compare = (
  store: Pick<Store, "get" | "head">,
  key: ObjectKey,
  body: Uint8Array
): Effect.Effect<PutOutcome | undefined, ObjectStoreError> =>
  Effect.flatMap(store.head(key), ({ etag, sizeBytes }) =>
    sizeBytes === body.length
      ? Effect.map(store.get(key, body.length), (there): PutOutcome =>
          Buffer.from(body).equals(there) ? { outcome: "created", etag } : present
        )
      : Effect.succeed(present)
  ).pipe(
    Effect.catch((error) => {
      if (error.reason === "TooLarge") return Effect.succeed(present)
      return isNotFound(error) ? Effect.succeed(undefined) : Effect.fail(error)
    })
  )

const ofWriting = (error: ObjectStoreError, key: ObjectKey): ObjectStoreError =>
  new ObjectStoreError({
    ...error,
    operation: "putIfAbsent",
    key,
    mayHaveHappened: true,
    detail: `it is there, and whether it is ours could not be seen${error.detail ? `: ${error.detail}` : ""}`
  })

const writeIfAbsent = (store: Store, key: ObjectKey, body: Uint8Array, options: RetryOptions) =>
  Effect.suspend(() => {
    const { attemptsMax = defaultAttemptsMax } = options
    const course = newCourse()
    const retried = <A>(attempt: Effect.Effect<A, ObjectStoreError>) => retry(options, () => attempt)
    const looks: Pick<Store, "get" | "head"> = {
      head: (wanted) => retried(store.head(wanted)),
      get: (wanted, maxSizeBytes) => retried(store.get(wanted, maxSizeBytes))
    }
    const write: Effect.Effect<PutOutcome, ObjectStoreError> = Effect.suspend(() =>
      retry(
        { ...options, attemptsMax: attemptsMax - course.attempts },
        () => store.putIfAbsent(key, body),
        course
      )
    ).pipe(
      Effect.flatMap((answer) =>
        answer.outcome === "present" && course.unsure ? look : Effect.succeed(answer)
      )
    )
    /** Whose object it is that is present, by its bytes. */
    const look = Effect.suspend(() => compare(looks, key, body)).pipe(
      Effect.mapError((error) => ofWriting(error, key)),
      Effect.flatMap((answer) => {
        if (answer !== undefined) return Effect.succeed(answer)
        if (course.attempts < attemptsMax) return write
        const detail = "it was there, and was deleted meanwhile"
        const error = new ObjectStoreError({ operation: "putIfAbsent", key, reason: "Conflict", detail })
        return Effect.fail(inCourse(error, course))
      })
    )
    return write
  })

export const retrying = (store: Store, options: RetryOptions = {}): Effect.Effect<Store> => {
  const retried = <A>(attempt: Effect.Effect<A, ObjectStoreError>) => retry(options, () => attempt)
  return Effect.succeed({
    put: (key, body) => retried(store.put(key, body)),
    putIfAbsent: (key, body) => writeIfAbsent(store, key, body, options),
    get: (key, maxSizeBytes) => retried(store.get(key, maxSizeBytes)),
    getRange: (key, range) => retried(store.getRange(key, range)),
    head: (key) => retried(store.head(key)),
    list: (request) => retried(store.list(request)),
    deleteMany: (keys) => retriedDeletion(store, keys, options),
    copy: (from, to) => retried(store.copy(from, to))
  })
}

export const layer = (options?: RetryOptions): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => retrying(store, options))
  )
