/**
 * Host: what tasks say of where they run: node name, process, user. A reference, so that a simulation can fix it.
 */
import * as Context from "effect/Context"
import { readFileSync } from "node:fs"
import * as os from "node:os"

export interface HostInfo {
  /** A DNS label. */
  readonly nodeName: string
  readonly pid: number
  /** Another one after every start of the machine; empty where the system does not tell. */
  readonly bootId: string
  /** Start of the process in clock ticks since boot; 0 where the system does not tell. */
  readonly processStart: number
  readonly userName: string
}

const bootId = (): string => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
  } catch {
    return ""
  }
}

const processStart = (): number => {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1")
    // The command name in parentheses may hold anything; the start time is the 20th field after it.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19])
  } catch {
    return 0
  }
}

const userName = (): string => {
  try {
    return os.userInfo().username
  } catch {
    return String(process.getuid?.() ?? 0)
  }
}

const nodeName = (): string => {
  const label = (os.hostname().split(".")[0] ?? "")
    .replaceAll(/[^A-Za-z0-9-]/g, "-")
    .replaceAll(/^-+|-+$/g, "")
  return label === "" ? "localhost" : label.slice(0, 63)
}

export const Host = Context.Reference<HostInfo>("granary/platform/Host", {
  defaultValue: () => ({
    nodeName: nodeName(),
    pid: process.pid,
    bootId: bootId(),
    processStart: processStart(),
    userName: userName()
  })
})
