/**
 * HostMark: what an object below `writers/` and `collectors/` says: who put it there, on which cache folder, and since
 * when.
 *
 * Anything may lie there: what is not a mark is one of an unknown host, and as good a reason to give way as any other.
 */
import type { HostInfo } from "../../platform/Host.ts"
import * as BackupTime from "../../model/BackupTime.ts"

export interface HostMark {
  readonly host: string
  /** Of the cache folder; empty when the mark cannot be read. */
  readonly cacheId: string
  readonly pid: number
  /** By that host's clock; seconds since 1970. */
  readonly startSeconds: number
}

export const markMaxBytes = 64 * 1024

export const encode = (
  { bootId, nodeName, pid, processStart }: HostInfo,
  cacheId: string,
  startSeconds: number
): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      host: nodeName,
      cache: cacheId,
      boot: bootId,
      pid,
      "process-start": processStart,
      start: startSeconds
    })
  )

/** Names of hosts end up in messages. */
const printable = /^[\x20-\x7e]{1,255}$/

export const unreadable: HostMark = { host: "an unknown host", cacheId: "", pid: 0, startSeconds: 0 }

export const decode = (body: Uint8Array): HostMark => {
  try {
    const { host, cache, pid, start } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>
    const isSound =
      typeof host === "string" &&
      printable.test(host) &&
      typeof cache === "string" &&
      typeof pid === "number" &&
      typeof start === "number" &&
      BackupTime.isBackupTime(start)
    return isSound ? { host, cacheId: cache, pid, startSeconds: start } : unreadable
  } catch {
    return unreadable
  }
}

/** `laptop (process 7, since 2026-11-21T10:00:00Z)`. */
export const format = ({ host, pid, startSeconds }: HostMark): string =>
  pid === 0 ? host : `${host} (process ${pid}, since ${BackupTime.format(startSeconds)})`
