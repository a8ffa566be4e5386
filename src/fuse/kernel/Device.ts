/**
 * Device: the descriptor over which the kernel asks, and the mount that belongs to it.
 *
 * Root opens /dev/fuse and mounts by the system call. Others let `fusermount3` do it, which is allowed to, and take
 * the descriptor from it. Invariant: a descriptor that was opened for a mount that failed is closed again.
 */
import * as Effect from "effect/Effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { PosixError } from "../../platform/Posix.ts"
import * as PosixMount from "../../platform/PosixMount.ts"
import { type DriverOptions, subtype } from "../Driver.ts"
import { mountError, type MountError } from "../MountError.ts"
import * as Init from "../protocol/Init.ts"

const device = "/dev/fuse"
/** What lets others than root mount: of FUSE 3, or of FUSE 2, which does as well. */
const helpers = ["fusermount3", "fusermount"]

const isRoot = (): boolean => process.geteuid?.() === 0

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

const isOnPath = (program: string): boolean =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .some((folder) => folder !== "" && fs.existsSync(path.join(folder, program)))

const findHelper = (): string | undefined => helpers.find(isOnPath)

const openObstacle = (): string | undefined => {
  try {
    fs.closeSync(fs.openSync(device, fs.constants.O_RDWR))
    return undefined
  } catch (error) {
    return codeOf(error) === "ENOENT"
      ? `there is no ${device} (load it with: modprobe fuse; a container must be given the device)`
      : `${device} cannot be opened: ${codeOf(error)} (a container must be given the device)`
  }
}

const callObstacle = (): string | undefined => {
  try {
    PosixMount.check()
    return undefined
  } catch (error) {
    return `system calls cannot be made: ${codeOf(error)}`
  }
}

/** Why the kernel cannot be reached; undefined when it can. */
export const obstacle: Effect.Effect<string | undefined> = Effect.sync(() => {
  if (process.platform !== "linux") return "it needs Linux"
  // The helper opens the device in the name of its user.
  const cannotOpen = openObstacle()
  if (cannotOpen !== undefined) return cannotOpen
  return isRoot() || findHelper() !== undefined
    ? callObstacle()
    : `only root can mount without ${helpers[0]} (install the package fuse3)`
})

const maxReadBytes = Init.maxPages * Init.pageBytes

const sharedOptions = ({ allowOther }: DriverOptions): ReadonlyArray<string> => [
  "default_permissions",
  `max_read=${maxReadBytes}`,
  ...(allowOther ? ["allow_other"] : [])
]

const denied = ({ mountpoint }: DriverOptions, detail: string): MountError =>
  mountError("Denied", mountpoint, detail, "mount as root, or see docs/mount.md")

const mountAsRoot = (options: DriverOptions): number => {
  const fd = fs.openSync(device, fs.constants.O_RDWR)
  const owner = `rootmode=40000,user_id=${process.geteuid?.() ?? 0},group_id=${process.getegid?.() ?? 0}`
  try {
    PosixMount.mount(
      options.source,
      options.mountpoint,
      `fuse.${subtype}`,
      PosixMount.MS_RDONLY | PosixMount.MS_NOSUID | PosixMount.MS_NODEV,
      [`fd=${fd}`, owner, ...sharedOptions(options)].join(",")
    )
    return fd
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

const byRoot = (options: DriverOptions): Effect.Effect<number, MountError> =>
  Effect.try({
    try: () => mountAsRoot(options),
    catch: (error) => {
      const what = error instanceof PosixError ? error.message : `${device}: ${codeOf(error)}`
      return denied(options, `it cannot be mounted: ${what}`)
    }
  })

interface HelperEnd {
  readonly isDone: boolean
  readonly text: string
}

/** Lets the helper mount, which sends the descriptor into `socket`. */
const runHelper = (helper: string, options: DriverOptions, socket: number): Effect.Effect<HelperEnd> =>
  Effect.callback((resume) => {
    const source = options.source.replaceAll(/[\\,]/g, String.raw`\$&`)
    const mountOptions = [
      "ro",
      "nosuid",
      "nodev",
      `fsname=${source}`,
      `subtype=${subtype}`,
      ...sharedOptions(options)
    ]
    const child = childProcess.spawn(helper, ["-o", mountOptions.join(","), "--", options.mountpoint], {
      stdio: ["ignore", "ignore", "pipe", socket],
      env: { ...process.env, _FUSE_COMMFD: "3" }
    })
    const words: Array<Buffer> = []
    child.stderr?.on("data", (piece: Buffer) => words.push(piece))
    child.on("error", (error) => resume(Effect.succeed({ isDone: false, text: String(error) })))
    child.on("close", (code) => {
      resume(Effect.succeed({ isDone: code === 0, text: Buffer.concat(words).toString().trim() }))
    })
  })

const byHelper = (options: DriverOptions): Effect.Effect<number, MountError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => PosixMount.socketPair()),
    ([ours, theirs]) =>
      Effect.gen(function* () {
        const helper = findHelper() ?? helpers[0] ?? ""
        const { isDone, text } = yield* runHelper(helper, options, theirs)
        if (!isDone) return yield* denied(options, text === "" ? `${helper} failed` : text)
        const fd = yield* Effect.try({
          try: () => PosixMount.receiveDescriptor(ours),
          catch: () => denied(options, `${helper} has sent no descriptor`)
        })
        return fd ?? (yield* denied(options, `${helper} has sent no descriptor`))
      }),
    (pair) => Effect.sync(() => pair.forEach((fd) => fs.closeSync(fd)))
  )

/** Mounts, and answers the descriptor. The kernel's first request waits in it. */
export const mount = (options: DriverOptions): Effect.Effect<number, MountError> =>
  Effect.suspend(() => (isRoot() ? byRoot(options) : byHelper(options)))
