/**
 * Processes: whether another process of this machine is still the one that somebody has written down. A process number
 * is given out again; together with the start time it is not. A reference, so that a simulation can fix it.
 */
import * as Context from "effect/Context"
import { readFileSync } from "node:fs"

export interface ProcessTable {
  /** Start of a process in clock ticks since boot, 0 where the system does not tell; undefined when there is none. */
  readonly startOf: (pid: number) => number | undefined
}

/** The command name in parentheses may hold anything; the start time is the 20th field after it. */
const startIn = (stat: string): number => Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19])

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return typeof error === "object" && error !== null && "code" in error && error.code === "EPERM"
  }
}

const startOf = (pid: number): number | undefined => {
  try {
    return startIn(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return isThere(pid) ? 0 : undefined
  }
}

export const Processes = Context.Reference<ProcessTable>("granary/platform/Processes", {
  defaultValue: () => ({ startOf })
})
