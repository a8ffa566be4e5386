/**
 * Waiting: what becomes of a read that the store did not answer. While the store cannot be reached the read is tried
 * again, less and less often, within a limit; whatever else goes wrong fails at once. What is damaged is told in the
 * log, each chunk once.
 *
 * Invariants: no attempt begins after the limit, and one that is under way then is given as long again at most; a chunk
 * that is missing or corrupt fails the reads that need it, and no others.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { ReadError } from "../../restore/ArchiveReader.ts"
import { vfsError, type VfsError, type VfsReason } from "../VfsError.ts"
import type { DecodedChunks } from "./DecodedChunks.ts"

export interface WaitingOptions {
  /** Snapshot and archive, for messages. */
  readonly subject: string
  readonly limitSeconds: number
}

/** Between two attempts: at first, and at most. */
const firstPauseMillis = 250
const longestPauseMillis = 5000

/**
 * Who comes after somebody who has waited in vain waits this long: a system asks several times for what a program reads
 * once, and none of these questions is to take as long as the first.
 */
const awayMillis = 2000

/** The same read may well succeed a little later. */
const isPassing = (error: ReadError): boolean => {
  if (error._tag === "ObjectStoreError") return error.retryable
  return error._tag === "FilesError" && (error.reason === "TooManyOpenFiles" || error.reason === "Busy")
}

const reasonOf = (error: ReadError): VfsReason => {
  if (error._tag === "ChunkError") return error.reason === "KeyNeeded" ? "KeyNeeded" : "Damaged"
  return error.reason === "NotFound" || error.reason === "TooLarge" ? "Damaged" : "Unreachable"
}

const asVfsError = (subject: string, error: ReadError): VfsError =>
  vfsError(reasonOf(error), subject, `${error.message}; ${error.hint}`)

const retries = (beginMillis: number, limitMillis: number) =>
  Schedule.min([Schedule.exponential(firstPauseMillis), Schedule.spaced(longestPauseMillis)]).pipe(
    Schedule.jittered,
    Schedule.setInputType<ReadError | VfsError>(),
    Schedule.while(
      ({ input, now, duration }) =>
        input._tag !== "VfsError" &&
        isPassing(input) &&
        now - beginMillis + Duration.toMillis(duration) <= limitMillis
    )
  )

const tooLong = (subject: string, millis: number) =>
  Effect.fail(vfsError("Unreachable", subject, `the store has not answered for ${millis / 1000} seconds`))

/** Makes reads of one archive wait, and fail in the words of the tree. */
export const make = (decoded: DecodedChunks, { limitSeconds, subject }: WaitingOptions) => {
  /** The last read has waited in vain. */
  let isAway = false

  const fail = (error: ReadError | VfsError): Effect.Effect<never, VfsError> => {
    const failure = error._tag === "VfsError" ? error : asVfsError(subject, error)
    isAway = failure.reason === "Unreachable"
    const isTold =
      error._tag !== "VfsError" && failure.reason === "Damaged" && decoded.isFirstTold(subjectOf(error))
    return Effect.andThen(isTold ? Effect.logWarning(failure.message) : Effect.void, Effect.fail(failure))
  }

  return <A>(read: Effect.Effect<A, ReadError>): Effect.Effect<A, VfsError> =>
    Effect.flatMap(Clock.currentTimeMillis, (beginMillis) => {
      const limitMillis = Math.min(limitSeconds * 1000, isAway ? awayMillis : Infinity)
      return read.pipe(
        Effect.retry(retries(beginMillis, limitMillis)),
        Effect.timeoutOrElse({
          duration: 2 * limitMillis,
          orElse: () => tooLong(subject, 2 * limitMillis)
        }),
        Effect.tap(() => Effect.sync(() => void (isAway = false))),
        Effect.catch(fail)
      )
    })
}

const subjectOf = (error: ReadError): string => (error._tag === "ChunkError" ? error.digest : error.message)
