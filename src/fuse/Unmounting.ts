/**
 * Unmounting: takes a mount of ours away, as root by the system call, otherwise through `fusermount3`.
 *
 * Invariants: nothing that is not ours is taken away, also not what somebody has mounted over it meanwhile. While
 * files are in use it is tried again for some seconds; then the mount is detached: it leaves its place at once, and
 * ends with its last user.
 */
import * as Effect from "effect/Effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { PosixError } from "../platform/Posix.ts"
import * as PosixMount from "../platform/PosixMount.ts"
import type { Unmounted } from "./Driver.ts"
import { mountError, type MountError } from "./MountError.ts"
import * as MountTable from "./MountTable.ts"

type How = "whole" | "detach"

/** `failed` says why. */
type Attempt =
  | { readonly kind: "done" }
  | { readonly kind: "busy" }
  | { readonly kind: "failed"; readonly detail: string }

const done: Attempt = { kind: "done" }

const bySystemCall = (mountpoint: string, how: How): Effect.Effect<Attempt> =>
  Effect.sync(() => {
    try {
      PosixMount.unmount(mountpoint, how)
      return done
    } catch (error) {
      if (!(error instanceof PosixError)) throw error
      // EINVAL: there is no mount any more.
      if (error.code === "EINVAL") return done
      return error.code === "EBUSY"
        ? { kind: "busy" }
        : { kind: "failed", detail: `it cannot be unmounted: ${error.code}` }
    }
  })

interface Ended {
  readonly code: number | undefined
  readonly text: string
}

/** Runs a program to its end; without a code when it could not be started. */
const runProgram = (program: string, args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    childProcess.execFile(program, args, { timeout: 30_000 }, (error, _, text) => {
      const code = error === null ? 0 : error.code
      resume(Effect.succeed({ code: typeof code === "number" ? code : undefined, text: text.trim() }))
    })
  })

const byHelper = (mountpoint: string, how: How): Effect.Effect<Attempt> =>
  Effect.gen(function* () {
    const args = ["-u", ...(how === "detach" ? ["-z"] : []), "--", mountpoint]
    for (const program of ["fusermount3", "fusermount"]) {
      const { code, text } = yield* runProgram(program, args)
      if (code === 0) return done
      if (code !== undefined) {
        return /busy/i.test(text) ? { kind: "busy" } : { kind: "failed", detail: text }
      }
    }
    return { kind: "failed", detail: "fusermount3 is not installed" }
  })

const attemptOnce = (mountpoint: string, how: How) =>
  process.geteuid?.() === 0 ? bySystemCall(mountpoint, how) : byHelper(mountpoint, how)

/** The mount that is meant is at its place still. */
const isThere = (mountpoint: string, device: string) =>
  Effect.map(MountTable.at(mountpoint), (entry) => entry?.device === device)

const attempts = 10
const pause = "200 millis"

/** Ends the mount of this device at this place; another one that lies there is left alone. */
export const end = (mountpoint: string, device: string): Effect.Effect<Unmounted, MountError> =>
  Effect.gen(function* () {
    for (let attempt = 1; attempt <= attempts + 1; attempt++) {
      if (!(yield* isThere(mountpoint, device))) return "unmounted"
      const how = attempt > attempts ? "detach" : "whole"
      const outcome = yield* attemptOnce(mountpoint, how)
      if (outcome.kind === "done") return how === "detach" ? "detached" : "unmounted"
      if (outcome.kind === "failed" && (yield* isThere(mountpoint, device))) {
        return yield* mountError("Denied", mountpoint, outcome.detail, "try again as the user who mounted it")
      }
      yield* Effect.sleep(pause)
    }
    return yield* mountError("Failed", mountpoint, "it is in use", "end the programs that use it")
  })

/** The mountpoint as the kernel names it, found without asking the mount itself. */
const placeOf = (mountpoint: string) =>
  Effect.gen(function* () {
    const place = path.resolve(mountpoint)
    if ((yield* MountTable.at(place)) !== undefined) return place
    const folder = yield* Effect.promise(() =>
      fs.promises.realpath(path.dirname(place)).catch(() => path.dirname(place))
    )
    const below = path.join(folder, path.basename(place))
    if ((yield* MountTable.at(below)) !== undefined) return below
    return yield* Effect.promise(() => fs.promises.realpath(place).catch(() => place))
  })

/** Ends whatever mount of ours lies at this place, dead ones too. */
export const unmount = (mountpoint: string): Effect.Effect<Unmounted, MountError> =>
  Effect.gen(function* () {
    const place = yield* placeOf(mountpoint)
    const entry = yield* MountTable.at(place)
    if (entry === undefined) {
      return yield* mountError(
        "NotMounted",
        place,
        "nothing is mounted there",
        "see: findmnt -t fuse.granary"
      )
    }
    if (!MountTable.isOurs(entry)) {
      const detail = `what is mounted there is no datastore, but of type ${entry.type}`
      return yield* mountError("NotMounted", place, detail, "use umount if it is meant")
    }
    return yield* end(place, entry.device)
  })
