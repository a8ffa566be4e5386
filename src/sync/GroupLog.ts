/**
 * GroupLog: the lines of one group. They are kept back a little, so that what belongs together is told together though
 * several groups are at work: the sixth line lets all of them go, and so does a second without a new one, and the end.
 * With one group at a time nothing is kept back.
 *
 * The same lines go to Effect's logger, at debug level, with the place as annotations.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as BackupGroup from "../model/BackupGroup.ts"
import { placeOf, type SyncError, type SyncPlace } from "./SyncError.ts"
import type { LogLine, Reporter } from "./SyncEvent.ts"

export interface GroupLog {
  readonly info: (text: string, place?: SyncPlace) => Effect.Effect<void>
  readonly warn: (text: string, place?: SyncPlace) => Effect.Effect<void>
  /** With its own place. */
  readonly error: (error: SyncError) => Effect.Effect<void>
}

export interface GroupLogOptions {
  /** Added to the place of every line. */
  readonly place: SyncPlace
  readonly report: Reporter
  readonly isBuffered: boolean
}

const linesMax = 5

const annotationsOf = ({ archive, group, namespace, side, snapshot }: SyncPlace) => ({
  ...(side === undefined ? {} : { side }),
  ...(namespace === undefined ? {} : { namespace }),
  ...(group === undefined ? {} : { group: BackupGroup.format(group) }),
  ...(snapshot === undefined ? {} : { snapshot: snapshot.directory }),
  ...(archive === undefined ? {} : { archive })
})

const hand = (report: Reporter, lines: ReadonlyArray<LogLine>): Effect.Effect<void> =>
  Effect.suspend(() => {
    report({ type: "log", lines })
    return Effect.forEach(
      lines,
      ({ level, place, text }) =>
        Effect.annotateLogs(Effect.logDebug(text), { level, ...annotationsOf(place) }),
      { discard: true }
    )
  })

export const make = ({
  isBuffered,
  place,
  report
}: GroupLogOptions): Effect.Effect<GroupLog, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let lines: Array<LogLine> = []
    let timer: Fiber.Fiber<void> | undefined

    const flush = Effect.suspend(() => {
      if (lines.length === 0) return Effect.void
      const taken = lines
      lines = []
      return hand(report, taken)
    })

    const stopTimer = Effect.suspend(() => {
      const running = timer
      timer = undefined
      return running === undefined ? Effect.void : Fiber.interrupt(running)
    })

    const startTimer = Effect.gen(function* () {
      const late = Effect.andThen(
        Effect.sleep("1 second"),
        Effect.suspend(() => {
          timer = undefined
          return flush
        })
      )
      timer = yield* Effect.forkIn(late, scope)
    })

    const add = (line: LogLine): Effect.Effect<void> =>
      Effect.uninterruptible(
        Effect.suspend(() => {
          lines.push(line)
          if (!isBuffered) return flush
          return Effect.andThen(stopTimer, lines.length > linesMax ? flush : startTimer)
        })
      )

    const say =
      (level: LogLine["level"]) =>
      (text: string, more: SyncPlace = {}) =>
        add({ level, place: { ...place, ...more }, text })

    yield* Effect.addFinalizer(() => flush)
    return {
      info: say("info"),
      warn: say("warning"),
      error: (error) => add({ level: "error", place: { ...place, ...placeOf(error) }, text: error.detail })
    }
  })
