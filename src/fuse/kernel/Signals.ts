/**
 * Signals: whether a thread that waits for a reply is to give up.
 *
 * The kernel takes a request back on any signal, also on those that programs use as clocks or among their own threads
 * (SIGALRM, SIGCHLD, SIGURG), and few programs expect a read of a file to fail then. On a disk it never would. So only
 * what means an end counts: SIGKILL (which the kernel also sets for every other fatal one), SIGHUP, SIGINT, SIGQUIT
 * and SIGTERM.
 */
import * as fs from "node:fs"

const endings = [1, 2, 3, 9, 15]
const endingMask = endings.reduce((mask, signal) => mask | (1 << (signal - 1)), 0)

/** The signals 1 to 32 of a line such as `SigPnd:	0000000000000100`. */
const maskIn = (status: string, field: string): number => {
  const hexadecimal = new RegExp(`^${field}:\\s*([0-9a-f]{16})$`, "m").exec(status)?.[1] ?? ""
  return hexadecimal === "" ? 0 : Number.parseInt(hexadecimal.slice(-8), 16) | 0
}

/** From the text of `/proc/PID/status`. */
export const isEndingIn = (status: string): boolean => {
  const pending = maskIn(status, "SigPnd") | maskIn(status, "ShdPnd")
  return (pending & ~maskIn(status, "SigBlk") & endingMask) !== 0
}

/** A thread that cannot be looked at counts as ending: the kernel has said that it got some signal. */
export const isEnding = (threadId: number): boolean => {
  if (threadId === 0) return true
  try {
    return isEndingIn(fs.readFileSync(`/proc/${threadId}/status`, "latin1"))
  } catch {
    return true
  }
}
