/**
 * Processes of the benchmark of mounts: commands with a time limit, and what the process of a mount has taken so far,
 * its children included, as the kernel counts it.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"

export type Argv = readonly [program: string, ...rest: ReadonlyArray<string>]

export interface CommandOptions {
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Then it is killed, and the benchmark fails. Default 300. */
  readonly limitSeconds?: number
}

export interface Ended {
  readonly wallSeconds: number
  readonly output: string
}

/** Runs a command to its end; fails when it does. */
export const run = async (argv: Argv, options: CommandOptions = {}): Promise<Ended> => {
  const { environment, folder, limitSeconds = 300 } = options
  const beginMillis = performance.now()
  const child = spawn("timeout", ["-s", "KILL", String(limitSeconds), ...argv], {
    ...(folder === undefined ? {} : { cwd: folder }),
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const [output, errors]: [Array<Buffer>, Array<Buffer>] = [[], []]
  child.stdout.on("data", (piece: Buffer) => output.push(piece))
  child.stderr.on("data", (piece: Buffer) => errors.push(piece))
  const [code] = (await once(child, "close")) as [number | null]
  const wallSeconds = (performance.now() - beginMillis) / 1000
  const text = Buffer.concat(output).toString()
  if (code === 0) return { wallSeconds, output: text }
  throw new Error(`${argv.join(" ")} failed (${String(code)}):\n${text}${Buffer.concat(errors).toString()}`)
}

const linesOf = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** The fields of `/proc/PID/stat` behind the name, which may hold anything. */
const statOf = (pid: number): ReadonlyArray<string> => {
  const text = linesOf(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(")") + 2).split(" ")
}

export const isRunning = (pid: number): boolean => !["", "Z", "X"].includes(statOf(pid)[0] ?? "")

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .map(Number)
    .filter((other) => Number.isInteger(other) && Number(statOf(other)[1]) === pid)

const familyOf = (pid: number): ReadonlyArray<number> => [pid, ...childrenOf(pid).flatMap(familyOf)]

const ticksPerSecond = 100

export interface Usage {
  readonly processorSeconds: number
  /** The largest resident memory so far, summed up over the processes. */
  readonly memoryPeakBytes: number
}

export const usageOf = (pid: number): Usage => {
  const family = familyOf(pid)
  const ticks = family.map((each) => {
    const fields = statOf(each)
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  })
  const kibibytes = family.map((each) =>
    Number(/^VmHWM:\s*(\d+) kB/m.exec(linesOf(`/proc/${each}/status`))?.[1] ?? 0)
  )
  const sum = (values: ReadonlyArray<number>): number => values.reduce((all, value) => all + value, 0)
  return { processorSeconds: sum(ticks) / ticksPerSecond, memoryPeakBytes: sum(kibibytes) * 1024 }
}

const pauseMillis = 5

/** Waits until something is so. */
export const until = async (what: string, isSo: () => boolean, limitSeconds = 60): Promise<void> => {
  const endMillis = performance.now() + limitSeconds * 1000
  while (!isSo()) {
    if (performance.now() > endMillis) throw new Error(`${what}: not within ${limitSeconds} seconds`)
    await wait(pauseMillis)
  }
}

/** Ends a process of ours, kindly first. */
export const end = async (pid: number): Promise<void> => {
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(pid, name)
    } catch {
      // It has ended by itself.
    }
  }
  signal("SIGTERM")
  try {
    await until(`the end of process ${pid}`, () => !isRunning(pid), 15)
  } catch {
    signal("SIGKILL")
  }
}
