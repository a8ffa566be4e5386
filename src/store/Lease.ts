/**
 * Lease: what a file of `.granary-writers` says and how it is called. `<name>.json` is the lease of a writer; it
 * becomes `<name>.doubt-<seconds>.json` when the writer has died with the machine (see `Doubts`); anything else that
 * begins with a name is what a crash left of a lease that was being written.
 *
 * Anything may be in such a file: what is not a lease is one that cannot be read.
 */
import type { HostInfo } from "../platform/Host.ts"

export interface Lease {
  readonly host: string
  readonly pid: number
  /** Which start of the machine the writer lived in; empty when the system does not tell. */
  readonly boot: string
  /** Seconds since 1970; 0 when the lease cannot be read. */
  readonly startSeconds: number
  /** Index files the writer builds on; paths relative to the store. */
  readonly bases: ReadonlyArray<string>
  /** Why the lease could not be read. */
  readonly problem: string | undefined
}

export const leaseMaxBytes = 16 * 1024 * 1024

const extension = ".json"
const doubtPattern = /^([^.]+)\.doubt-(\d{1,12})\.json$/

/** What the name of a file says. */
export type FileName =
  | { readonly kind: "lease"; readonly name: string }
  | { readonly kind: "doubt"; readonly name: string; readonly untilSeconds: number }
  | { readonly kind: "leftover"; readonly name: string }

export const parseFileName = (fileName: string): FileName => {
  const name = fileName.split(".")[0] ?? ""
  if (fileName === name + extension) return { kind: "lease", name }
  const [, , until] = doubtPattern.exec(fileName) ?? []
  return until === undefined
    ? { kind: "leftover", name }
    : { kind: "doubt", name, untilSeconds: Number(until) }
}

export const fileNameOf = (name: string): string => name + extension

export const doubtNameOf = (name: string, untilSeconds: number): string =>
  `${name}.doubt-${untilSeconds}${extension}`

export const encode = (
  { bootId, nodeName, pid, processStart }: HostInfo,
  startSeconds: number,
  bases: ReadonlyArray<string>
): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      host: nodeName,
      boot: bootId,
      pid,
      "process-start": processStart,
      start: startSeconds,
      bases
    })
  )

export const unreadable = (problem: string): Lease => ({
  host: "unknown",
  pid: 0,
  boot: "",
  startSeconds: 0,
  bases: [],
  problem
})

/** A path below the store, and nothing else. */
const isPlainPath = (path: unknown): path is string =>
  typeof path === "string" && path.split("/").every((name) => name !== "" && name !== "." && name !== "..")

export const decode = (text: string): Lease => {
  try {
    const value = JSON.parse(text) as Record<string, unknown>
    const { boot = "", host, pid, start, bases } = value
    const isSound =
      typeof host === "string" &&
      typeof boot === "string" &&
      typeof pid === "number" &&
      typeof start === "number" &&
      Number.isSafeInteger(start) &&
      Array.isArray(bases) &&
      bases.every(isPlainPath)
    if (!isSound) return unreadable("it does not say what a lease says")
    return { host, pid, boot, startSeconds: start, bases, problem: undefined }
  } catch (error) {
    return unreadable(error instanceof Error ? error.message : String(error))
  }
}
