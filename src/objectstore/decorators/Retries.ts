/**
 * When a failed request is tried again, and what the last failure tells about the ones before it.
 *
 * Waits grow exponentially up to a cap, and each is a random part of that (full jitter), so that many clients do not
 * come back together. What the server asks for (Retry-After) is waited for in full, and the random part comes on top.
 * No attempt begins after the time limit; one that runs is not cut off.
 *
 * Invariant: a failure says `outcomeUnknown` when any attempt may have happened, not only the last one.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { ObjectStoreError, type ObjectStoreOperation } from "../ObjectStoreError.ts"

export interface RetryOptions {
  /** The longest first wait. Default 100. */
  readonly baseMillis?: number
  /** How much longer each wait may be than the one before. Default 2. */
  readonly factor?: number
  /** The longest wait of our own choice. Default 20,000. */
  readonly capMillis?: number
  /** The first one counts. Default 10. */
  readonly attemptsMax?: number
  /** From the first attempt's begin to the last one's. Default 300,000. */
  readonly timeLimitMillis?: number
}

export const defaultAttemptsMax = 10

/** What the attempts of one operation have come to. */
export interface Course {
  attempts: number
  /** An attempt may have been carried out without our knowing. */
  unsure: boolean
}

const scheduleOf = (options: RetryOptions, beginMillis: number) => {
  const { baseMillis = 100, factor = 2, capMillis = 20_000 } = options
  const { attemptsMax = defaultAttemptsMax, timeLimitMillis = 300_000 } = options
  return Schedule.exponential(Duration.millis(baseMillis), factor).pipe(
    Schedule.setInputType<ObjectStoreError>(),
    Schedule.modifyDelay(({ input, duration }) =>
      Effect.map(Random.next, (share) =>
        Duration.millis(
          share * Math.min(capMillis, Duration.toMillis(duration)) + (input.retryAfterSeconds ?? 0) * 1000
        )
      )
    ),
    Schedule.while(
      ({ input, attempt, now, duration }) =>
        input.retryable &&
        attempt < attemptsMax &&
        now - beginMillis + Duration.toMillis(duration) <= timeLimitMillis
    )
  )
}

const isChange: Record<ObjectStoreOperation, boolean> = {
  put: true,
  putIfAbsent: true,
  deleteMany: true,
  copy: true,
  get: false,
  getRange: false,
  head: false,
  list: false
}

/** The error as the whole course gives it: how often it was tried, and whether any of it may have happened. */
export const inCourse = (error: ObjectStoreError, { attempts, unsure }: Course): ObjectStoreError =>
  attempts <= 1
    ? error
    : new ObjectStoreError({
        ...error,
        ...(isChange[error.operation] && unsure ? { mayHaveHappened: true } : {}),
        attempts
      })

export const newCourse = (): Course => ({ attempts: 0, unsure: false })

/**
 * Runs `attempt` until it succeeds, fails for good, or the options have had enough. `goesOn` is what attempts of the
 * same operation have come to before.
 */
export const retry = <A>(
  options: RetryOptions,
  attempt: (course: Course) => Effect.Effect<A, ObjectStoreError>,
  goesOn?: Course
): Effect.Effect<A, ObjectStoreError> =>
  Effect.flatMap(Clock.currentTimeMillis, (beginMillis) => {
    const course = goesOn ?? newCourse()
    const next = Effect.suspend(() => {
      course.attempts += 1
      return Effect.tapError(attempt(course), (error) =>
        Effect.sync(() => {
          if (error.outcomeUnknown) course.unsure = true
        })
      )
    })
    return next.pipe(
      Effect.retry(scheduleOf(options, beginMillis)),
      Effect.mapError((error) => inCourse(error, course))
    )
  })
