/**
 * ProgressBar: draws the progress of long work on standard error: a bar on a terminal, a plain line now and then in a
 * log, a JSON line each with `--output json`. Warnings are lines of their own.
 */
import { monotonicMillis } from "../platform/Monotonic.ts"
import type { ProgressEvent, Reporter } from "../platform/Progress.ts"
import * as Format from "./Format.ts"

export interface Display {
  readonly report: Reporter
  /** Wipes an unfinished bar, so that other output starts on a line of its own. */
  readonly clear: () => void
}

export interface DisplayOptions {
  readonly output: "text" | "json"
  readonly isTerminal: boolean
  readonly columns: number
  readonly write: (text: string) => void
}

const barMillis = 100
const lineMillis = 10_000
const barWidth = 20

type Running = Extract<ProgressEvent, { type: "progress" }>

const verbs = {
  create: "creating",
  backup: "backing up",
  restore: "restoring",
  verify: "verifying",
  prune: "removing",
  "gc-mark": "marking",
  "gc-sweep": "sweeping",
  "gc-remove": "removing",
  refresh: "refreshing"
}

const amount = (event: Running, value: number): string =>
  event.unit === "bytes" ? Format.bytes(value) : `${Format.count(value)} ${event.unit}`

const detailsOf = (event: Running, elapsedSeconds: number): string => {
  const { done, total, counts } = event
  const parts = [
    total === undefined ? amount(event, done) : `${amount(event, done)} of ${amount(event, total)}`
  ]
  if (event.unit === "bytes" && elapsedSeconds > 0.5) parts.push(Format.rate(done, elapsedSeconds))
  for (const [name, value] of Object.entries(counts)) {
    if (value > 0) parts.push(`${Format.count(value)} ${name.replaceAll("-", " ")}`)
  }
  return parts.join(", ")
}

const bar = (event: Running): string => {
  if (event.total === undefined || event.total === 0) return ""
  const share = Math.min(1, event.done / event.total)
  const filled = Math.round(share * barWidth)
  const percent = `${Math.floor(share * 100)}%`.padStart(4)
  return `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]${percent} `
}

export const make = (options: DisplayOptions): Display => {
  const { output, isTerminal, columns, write } = options
  let startedAt = monotonicMillis()
  let shownAt = Number.NEGATIVE_INFINITY
  let hasBar = false

  const clear = (): void => {
    if (hasBar) write("\r\x1b[2K")
    hasBar = false
  }

  const line = (event: Running): string => {
    const elapsedSeconds = (monotonicMillis() - startedAt) / 1000
    const head = `${verbs[event.task]} ${Format.name(event.subject)}: `
    return `${head}${isTerminal ? bar(event) : ""}${detailsOf(event, elapsedSeconds)}`
  }

  const show = (event: Running): void => {
    if (isTerminal) {
      write(`\r\x1b[2K${line(event).slice(0, columns - 1)}`)
      hasBar = true
    } else {
      write(`${line(event)}\n`)
    }
  }

  const text = (event: ProgressEvent): void => {
    if (event.type === "warning") {
      clear()
      write(`warning: ${Format.name(event.subject)}: ${Format.name(event.message)}\n`)
      return
    }
    const now = monotonicMillis()
    if (event.state === "started") {
      startedAt = now
      shownAt = isTerminal ? Number.NEGATIVE_INFINITY : now
      return
    }
    if (event.state === "ended") return clear()
    if (now - shownAt < (isTerminal ? barMillis : lineMillis)) return
    shownAt = now
    show(event)
  }

  const json = (event: ProgressEvent): void => {
    const now = monotonicMillis()
    const isRunning = event.type === "progress" && event.state === "running"
    if (isRunning && now - shownAt < 1000) return
    shownAt = now
    write(`${JSON.stringify(event.type === "progress" ? { ...event, total: event.total ?? null } : event)}\n`)
  }

  return { report: output === "json" ? json : text, clear }
}
