/**
 * MountPeers: the programs that are compared, each with the way in which it shows the same tree and the same large
 * file as files.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { type Argv, end, run, until, type Usage, usageOf } from "./mountProcesses.ts"

export type PeerName = "granary" | "granary, version 1" | "squashfuse" | "restic"

/** Something that is mounted. */
export interface Mounted {
  /** The tree's own directory. */
  readonly tree: string
  /** The large file; undefined where it is not in there. */
  readonly largeFile: string | undefined
  readonly usage: () => Usage
  readonly end: () => Promise<void>
}

export interface Peer {
  readonly name: PeerName
  /** Undefined when it is not installed. */
  readonly version: string | undefined
  readonly mount: () => Promise<Mounted>
}

/** Where the data and what the programs made of it lie. */
export interface Places {
  readonly tree: string
  readonly large: string
  readonly store: string
  readonly restic: string
  readonly resticCache: string
  readonly squashfs: string
  readonly mountpoint: string
}

export const placesIn = (folder: string): Places => ({
  tree: path.join(folder, "tree"),
  large: path.join(folder, "large"),
  store: path.join(folder, "store"),
  restic: path.join(folder, "restic"),
  resticCache: path.join(folder, "restic-cache"),
  squashfs: path.join(folder, "tree.squashfs"),
  mountpoint: path.join(folder, "mnt")
})

export const largeName = "large.bin"

/** By the way in which archives are stored. */
export const backupIds = { granary: "split", "granary, version 1": "single" } as const

export const resticEnvironment = ({ restic, resticCache }: Places): Readonly<Record<string, string>> => ({
  RESTIC_REPOSITORY: restic,
  RESTIC_PASSWORD: "benchmark",
  RESTIC_CACHE_DIR: resticCache
})

const versionOf = (program: string, argument: string): string | undefined => {
  const { error, stderr, stdout } = spawnSync(program, [argument], { encoding: "utf8" })
  return error === undefined ? /\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`)?.[0] : undefined
}

export const versions = () => ({
  restic: versionOf("restic", "version"),
  squashfuse: versionOf("squashfuse", "--version"),
  mksquashfs: versionOf("mksquashfs", "-version")
})

const isMounted = (mountpoint: string): boolean =>
  readFileSync("/proc/self/mountinfo", "utf8").includes(` ${mountpoint} `)

export const unmount = (mountpoint: string): void => {
  while (isMounted(mountpoint)) {
    if (spawnSync("umount", [mountpoint]).status === 0) continue
    spawnSync("umount", ["-l", mountpoint])
    return
  }
}

/** Mounts what `granary` shows of a part of a store; the command's own time is that until the mount is ready. */
export const mountGranary = async (
  granary: Argv,
  store: string,
  what: ReadonlyArray<string>,
  mountpoint: string
) => {
  mkdirSync(mountpoint, { recursive: true })
  const flags = ["--repository", store, "--driver", "kernel", "--output", "json"]
  const { output, wallSeconds } = await run([...granary, "mount", ...flags, ...what, mountpoint])
  const { pid } = JSON.parse(output) as { readonly pid: number }
  const finish = async (): Promise<void> => {
    await end(pid)
    unmount(mountpoint)
  }
  return { readySeconds: wallSeconds, usage: () => usageOf(pid), end: finish }
}

const granaryPeer = (granary: Argv, version: string, places: Places, name: keyof typeof backupIds): Peer => ({
  name,
  version,
  mount: async () => {
    const { mountpoint, store } = places
    const mounted = await mountGranary(granary, store, [`host/${backupIds[name]}/latest`], mountpoint)
    return {
      ...mounted,
      tree: path.join(mountpoint, "tree.pxar"),
      largeFile: path.join(mountpoint, "large.pxar", largeName)
    }
  }
})

const serve = async (
  argv: Argv,
  mountpoint: string,
  environment: Readonly<Record<string, string>>
): Promise<Pick<Mounted, "usage" | "end">> => {
  mkdirSync(mountpoint, { recursive: true })
  const [program, ...rest] = argv
  const child: ChildProcess = spawn(program, rest, {
    stdio: "ignore",
    env: { ...process.env, ...environment }
  })
  const pid = child.pid ?? 0
  await until(`${program} to mount`, () => isMounted(mountpoint))
  return {
    usage: () => usageOf(pid),
    end: async () => {
      unmount(mountpoint)
      await end(pid)
    }
  }
}

const squashfusePeer = ({ mountpoint, squashfs }: Places): Peer => ({
  name: "squashfuse",
  version: versions().mksquashfs === undefined ? undefined : versions().squashfuse,
  mount: async () => ({
    ...(await serve(["squashfuse", "-f", squashfs, mountpoint], mountpoint, {})),
    tree: mountpoint,
    largeFile: undefined
  })
})

const resticPeer = (places: Places): Peer => ({
  name: "restic",
  version: versions().restic,
  mount: async () => {
    const { large, mountpoint, tree } = places
    const served = await serve(["restic", "mount", mountpoint], mountpoint, resticEnvironment(places))
    const snapshot = path.join(mountpoint, "snapshots/latest")
    return {
      ...served,
      tree: path.join(snapshot, tree),
      largeFile: path.join(snapshot, large, largeName)
    }
  }
})

export const peers = (granary: Argv, version: string, places: Places): ReadonlyArray<Peer> => [
  granaryPeer(granary, version, places, "granary"),
  granaryPeer(granary, version, places, "granary, version 1"),
  squashfusePeer(places),
  resticPeer(places)
]
