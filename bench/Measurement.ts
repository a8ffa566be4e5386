/**
 * Measurement: runs one command to its end and says what it took: wall time, processor time of it and all its children,
 * and the largest resident memory of any of them. GNU time does the counting.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"

export interface Command {
  readonly argv: readonly [program: string, ...rest: ReadonlyArray<string>]
  /** Where it runs; the benchmark's own folder by default. */
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
}

export interface Measurement {
  readonly wallSeconds: number
  readonly processorSeconds: number
  readonly memoryPeakBytes: number
}

const gnuTime = "/usr/bin/time"
const format = "%e %U %S %M"

export const isAvailable = (): boolean => existsSync(gnuTime)

const tailOf = (file: string): string => readFileSync(file, "utf8").trim().split("\n").slice(-5).join("\n")

/** Puts what waits to be written onto the disk: nobody shall wait for what another one wrote. */
const settle = (): void => {
  execFileSync("sync")
}

const pageCache = "/proc/sys/vm/drop_caches"
const everything = "3"

/**
 * Empties the system's page cache, as if nothing had been read or written for a long time. False where that is not
 * allowed: it takes an administrator.
 */
export const forgetFiles = (): boolean => {
  settle()
  try {
    writeFileSync(pageCache, everything)
    return true
  } catch {
    return false
  }
}

/** Throws when the command fails; what it printed goes to a file in `workFolder`. */
export const run = (command: Command, workFolder: string): Measurement => {
  settle()
  const resultFile = path.join(workFolder, "measured")
  const logFile = path.join(workFolder, "log")
  const log = openSync(logFile, "w")
  const ended = spawnSync(gnuTime, ["-f", format, "-o", resultFile, ...command.argv], {
    cwd: command.folder,
    env: { ...process.env, ...command.environment },
    stdio: ["ignore", log, log]
  })
  closeSync(log)
  if (ended.status !== 0) {
    const how = ended.signal ?? `exit code ${String(ended.status)}`
    throw new Error(`${command.argv.join(" ")} failed (${how}):\n${tailOf(logFile)}`)
  }
  const [wall, user, system, memoryKibibytes] = readFileSync(resultFile, "utf8").trim().split(" ").map(Number)
  return {
    wallSeconds: wall ?? Number.NaN,
    processorSeconds: (user ?? Number.NaN) + (system ?? Number.NaN),
    memoryPeakBytes: (memoryKibibytes ?? Number.NaN) * 1024
  }
}

const middle = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((left, right) => left - right)
  const half = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** Medians of the times; of memory the largest, for it is a limit that must hold. Undefined when nothing was measured. */
export const median = (measurements: ReadonlyArray<Measurement>): Measurement | undefined =>
  measurements.length === 0
    ? undefined
    : {
        wallSeconds: middle(measurements.map(({ wallSeconds }) => wallSeconds)),
        processorSeconds: middle(measurements.map(({ processorSeconds }) => processorSeconds)),
        memoryPeakBytes: Math.max(...measurements.map(({ memoryPeakBytes }) => memoryPeakBytes))
      }

/** How far the slowest of equal runs lies above the fastest, as a share of the fastest. */
export const spread = (measurements: ReadonlyArray<Measurement>): number => {
  const walls = measurements.map(({ wallSeconds }) => wallSeconds)
  return Math.max(...walls) / Math.max(0.01, Math.min(...walls)) - 1
}
