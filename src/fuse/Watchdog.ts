/**
 * Watchdog: a small process that outlives the mount's one and takes a dead mount away.
 *
 * A driver that is killed cannot unmount, and what it leaves answers everybody with an error until somebody cleans up.
 * The watchdog waits for the end of a pipe that the driver's process alone holds. Invariant: it takes away only the
 * file system it was started for, at the place where it was mounted.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import * as MountTable from "./MountTable.ts"

/** One word means that all was cleaned up. $1 mountpoint, $2 its device, $3 the mountpoint as the table writes it. */
const script = `
IFS= read -r word && exit 0
while read -r id parent device root place rest; do
  if [ "$device" = "$2" ] && [ "$place" = "$3" ]; then
    umount -l -- "$1" || fusermount3 -u -z -- "$1" || fusermount -u -z -- "$1"
    exit
  fi
done < /proc/self/mountinfo
`

const dismiss = (child: childProcess.ChildProcess): Effect.Effect<void> =>
  Effect.sync(() => {
    child.stdin?.end("done\n")
  })

const start = (mountpoint: string, device: string): childProcess.ChildProcess => {
  const child = childProcess.spawn(
    "/bin/sh",
    ["-c", script, "sh", mountpoint, device, MountTable.escape(mountpoint)],
    { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/" }
  )
  // Without a shell there is no watchdog: the mount works all the same.
  child.on("error", () => undefined)
  child.stdin?.on("error", () => undefined)
  child.unref()
  return child
}

/** Watches over what is mounted there until the scope ends. */
export const watch = (mountpoint: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const entry = yield* MountTable.at(mountpoint)
    if (entry === undefined) return
    yield* Effect.acquireRelease(
      Effect.sync(() => start(mountpoint, entry.device)),
      dismiss
    )
  })
