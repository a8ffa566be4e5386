/**
 * MountLog: where a mount in the background tells of its faults when nobody has said where: one file for each
 * mountpoint, in the folder for such things (`~/.local/state/granary`).
 *
 * Invariant: a log never keeps anybody from mounting. One that cannot be written is left out, and the reason is told.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as ConfigFolder from "../config/ConfigFolder.ts"

/** A log of this size is put aside by the next mount, in place of the one that was put aside before. */
const turnedBytes = 1024 * 1024

const longestName = 200

/** `/mnt/backups` becomes `mount-mnt-backups.log`; of a very long path its end. */
const fileNameOf = (mountpoint: string): string => {
  const words = path.resolve(mountpoint).replaceAll(/[^\w.]+/g, "-")
  return `mount${words.slice(-longestName)}.log`
}

export interface MountLog {
  /** Undefined when it cannot be written. */
  readonly file: string | undefined
  /** Why not. */
  readonly obstacle?: string
}

/** Makes the folder, turns a log that has grown large, and finds out whether it can be written. */
const makeReady = (file: string): void => {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const fd = fs.openSync(file, "a", 0o600)
  const { size } = fs.fstatSync(fd)
  fs.closeSync(fd)
  if (size > turnedBytes) fs.renameSync(file, `${file}.old`)
}

export const prepare = (mountpoint: string): Effect.Effect<MountLog> =>
  Effect.gen(function* () {
    const file = path.join(yield* ConfigFolder.defaultStatePath, fileNameOf(mountpoint))
    return yield* Effect.try({ try: () => makeReady(file), catch: String }).pipe(
      Effect.match({
        onSuccess: (): MountLog => ({ file }),
        onFailure: (obstacle): MountLog => ({ file: undefined, obstacle })
      })
    )
  })
