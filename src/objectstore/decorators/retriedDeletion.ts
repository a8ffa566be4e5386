/**
 * A batch of deletions with retries: what was deleted, or refused for good, is settled; only the rest is asked for
 * again.
 *
 * Invariant: each different key is answered for once. The batch fails as a whole only when no attempt said anything
 * about any key; otherwise keys that are still undecided in the end are failed ones with their last error.
 */
import * as Effect from "effect/Effect"
import type { ObjectKey } from "../ObjectKey.ts"
import type { DeleteReport, ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError } from "../ObjectStoreError.ts"
import { type Course, inCourse, retry, type RetryOptions } from "./Retries.ts"

interface Failed {
  readonly key: ObjectKey
  readonly error: ObjectStoreError
}

/** Of several errors, the one whose server wants to be left alone the longest. */
const mostPatient = (errors: ReadonlyArray<ObjectStoreError>): ObjectStoreError | undefined =>
  errors.toSorted((left, right) => (right.retryAfterSeconds ?? 0) - (left.retryAfterSeconds ?? 0))[0]

class Deletion {
  readonly #store: ObjectStore["Service"]
  readonly #deleted: Array<ObjectKey> = []
  readonly #failed: Array<Failed> = []
  /** Keys of which an earlier attempt may have deleted the object. */
  readonly #unsure = new Set<ObjectKey>()
  /** Undecided keys, with the last error of those that have one. */
  #open: Map<ObjectKey, ObjectStoreError | undefined>

  constructor(store: ObjectStore["Service"], keys: ReadonlyArray<ObjectKey>) {
    this.#store = store
    this.#open = new Map(keys.map((key) => [key, undefined]))
  }

  /** One request for what is open; fails while there is something to be tried again. */
  attempt({ attempts }: Course): Effect.Effect<DeleteReport, ObjectStoreError> {
    return this.#store.deleteMany([...this.#open.keys()]).pipe(
      Effect.tapError((error) => Effect.sync(() => this.#failAll(error))),
      Effect.flatMap((report) => {
        const again = this.#settle(report, attempts)
        return again === undefined ? Effect.succeed(this.#report(attempts)) : Effect.fail(again)
      })
    )
  }

  /** What the whole came to after the last attempt failed. */
  giveUp(error: ObjectStoreError): Effect.Effect<DeleteReport, ObjectStoreError> {
    const isAnswered = [...this.#open.values()].some((last) => last !== undefined)
    return isAnswered ? Effect.succeed(this.#report(error.attempts ?? 1)) : Effect.fail(error)
  }

  #failAll(error: ObjectStoreError): void {
    if (error.outcomeUnknown) for (const key of this.#open.keys()) this.#unsure.add(key)
  }

  /** Answers the error to try again for, if there is one. */
  #settle(report: DeleteReport, attempts: number): ObjectStoreError | undefined {
    this.#deleted.push(...report.deleted)
    const open = new Map<ObjectKey, ObjectStoreError>()
    for (const { key, error } of report.failed) {
      if (error.outcomeUnknown) this.#unsure.add(key)
      if (error.retryable) open.set(key, error)
      else this.#failed.push(this.#failure(key, error, attempts))
    }
    this.#open = open
    return mostPatient([...open.values()])
  }

  #failure(key: ObjectKey, error: ObjectStoreError, attempts: number): Failed {
    return { key, error: inCourse(error, { attempts, unsure: this.#unsure.has(key) }) }
  }

  #report(attempts: number): DeleteReport {
    const open = [...this.#open].flatMap(([key, last]) =>
      last === undefined ? [] : [this.#failure(key, last, attempts)]
    )
    return { deleted: this.#deleted, failed: [...this.#failed, ...open] }
  }
}

export const retriedDeletion = (
  store: ObjectStore["Service"],
  keys: ReadonlyArray<ObjectKey>,
  options: RetryOptions
): Effect.Effect<DeleteReport, ObjectStoreError> =>
  Effect.suspend(() => {
    const deletion = new Deletion(store, keys)
    return retry(options, (course) => deletion.attempt(course)).pipe(
      Effect.catch((error) => deletion.giveUp(error))
    )
  })
