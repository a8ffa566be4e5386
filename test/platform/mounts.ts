/** Mounts that nobody else sees, for tests of full and read-only file systems. They need the right to make them. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmdirSync } from "node:fs"

/** Runs a shell script, with parameters, in a child with mounts of its own. */
export const inOwnMounts = (script: string, ...parameters: ReadonlyArray<string>) =>
  spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-ec", script, "sh", ...parameters], {
    encoding: "utf8"
  })

/** Remounts the first parameter read-only, then runs the others as a command. */
export const readOnlyScript = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'

/** Mounts a file system of 64 KiB on the first parameter, then runs the others as a command. */
export const tinyScript = 'mount -t tmpfs -o size=64k none "$1"; shift; exec "$@"'

/** Whether the environment allows all this. */
export const mayMount = ((): boolean => {
  const folder = mkdtempSync("/tmp/granary-mount-")
  const { status } = inOwnMounts(tinyScript, folder, "true")
  rmdirSync(folder)
  return status === 0
})()
