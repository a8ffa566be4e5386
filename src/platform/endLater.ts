/** endLater: ends a process that should have ended by itself by then, in whatever state it is. */

/** The wait itself keeps nobody running. */
export const endLater = (pid: number, millis: number): void => {
  setTimeout(() => process.kill(pid, "SIGKILL"), millis).unref()
}
