/**
 * SyncDisplay: what a sync tells while it runs, on standard error: its log, block by block, and how far it is: a bar
 * on a terminal, a plain line now and then in a log, JSON lines with `--output json`.
 */
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { monotonicMillis } from "../platform/Monotonic.ts"
import type * as Progress from "../platform/Progress.ts"
import { placeText, type SyncPlace } from "../sync/SyncError.ts"
import type { LogLine, Reporter, SyncEvent } from "../sync/SyncEvent.ts"
import { transferredBytes } from "../sync/SyncSummary.ts"
import * as Format from "./Format.ts"
import type { DisplayOptions } from "./ProgressBar.ts"

export interface SyncDisplay {
  readonly report: Reporter
  /** For what the stores tell by themselves. */
  readonly reportStore: Progress.Reporter
  /** Wipes an unfinished bar. */
  readonly clear: () => void
}

type Running = Extract<SyncEvent, { type: "progress" }>

const barMillis = 100
const lineMillis = 10_000
const jsonMillis = 1000
const barWidth = 20

const levels: { readonly [level in LogLine["level"]]: string } = {
  info: "",
  warning: "warning: ",
  error: "error: "
}

const lineText = ({ level, place, text }: LogLine): string => {
  const where = placeText(place)
  return `${levels[level]}${Format.name(where === "" ? text : `${where}: ${text}`)}\n`
}

const placeJson = ({ archive, group, namespace, side, snapshot }: SyncPlace) => ({
  ...(side === undefined ? {} : { side }),
  ...(namespace === undefined ? {} : { ns: namespace }),
  ...(group === undefined ? {} : { group: BackupGroup.format(group) }),
  ...(snapshot === undefined ? {} : { snapshot: Snapshot.format(snapshot) }),
  ...(archive === undefined ? {} : { archive })
})

const lineJson = ({ level, place, text }: LogLine) => ({ type: "log", level, ...placeJson(place), text })

const progressJson = ({ counts, doneGroups, share, totalGroups, transferLimit }: Running) => ({
  type: "progress",
  task: "sync",
  state: "running",
  unit: "groups",
  done: doneGroups,
  total: totalGroups,
  share,
  "transfer-limit": transferLimit,
  counts: {
    snapshots: counts.copiedSnapshots,
    chunks: counts.chunks,
    "present-chunks": counts.presentChunks,
    bytes: transferredBytes(counts)
  }
})

const bar = (share: number): string => {
  const filled = Math.round(Math.min(1, share) * barWidth)
  return `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]`
}

const detailsOf = ({ counts, doneGroups, share, totalGroups }: Running, seconds: number): string => {
  const bytes = transferredBytes(counts)
  return [
    `${(Math.min(1, share) * 100).toFixed(2)}% (${Format.count(doneGroups)}/${Format.count(totalGroups)} groups)`,
    Format.counted(counts.copiedSnapshots, "snapshot"),
    Format.counted(counts.chunks, "chunk"),
    Format.bytes(bytes),
    ...(seconds > 0.5 ? [Format.rate(bytes, seconds)] : [])
  ].join(", ")
}

const makeText = ({ columns, isTerminal, write }: DisplayOptions): SyncDisplay => {
  const startedMillis = monotonicMillis()
  let shownMillis = isTerminal ? Number.NEGATIVE_INFINITY : startedMillis
  let hasBar = false

  const clear = (): void => {
    if (hasBar) write("\r\x1b[2K")
    hasBar = false
  }

  const show = (event: Running): void => {
    const nowMillis = monotonicMillis()
    if (nowMillis - shownMillis < (isTerminal ? barMillis : lineMillis)) return
    shownMillis = nowMillis
    const details = detailsOf(event, (nowMillis - startedMillis) / 1000)
    if (!isTerminal) return write(`syncing: ${details}\n`)
    write(`\r\x1b[2K${`syncing ${bar(event.share)} ${details}`.slice(0, columns - 1)}`)
    hasBar = true
  }

  return {
    clear,
    report: (event) => {
      if (event.type === "progress") return show(event)
      if (event.type !== "log") return
      clear()
      write(event.lines.map(lineText).join(""))
    },
    reportStore: (event) => {
      if (event.type !== "warning") return
      clear()
      write(`warning: ${Format.name(event.subject)}: ${Format.name(event.message)}\n`)
    }
  }
}

const makeJson = ({ write }: DisplayOptions): SyncDisplay => {
  let shownMillis = Number.NEGATIVE_INFINITY
  const tell = (line: object): void => write(`${JSON.stringify(line)}\n`)
  const show = (event: Running): void => {
    const nowMillis = monotonicMillis()
    if (nowMillis - shownMillis < jsonMillis) return
    shownMillis = nowMillis
    tell(progressJson(event))
  }
  return {
    clear: () => undefined,
    report: (event) => {
      if (event.type === "progress") show(event)
      if (event.type === "log") for (const line of event.lines) tell(lineJson(line))
    },
    reportStore: (event) => {
      if (event.type === "warning") tell(event)
    }
  }
}

export const make = (options: DisplayOptions): SyncDisplay =>
  options.output === "json" ? makeJson(options) : makeText(options)
