/**
 * MountData: a tree of many small files and one large file, made from a seed, and what each program makes of them: a
 * datastore, a repository of restic, an image of squashfs. What is there already is used again.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import { backupIds, largeName, type Peer, type Places, resticEnvironment } from "./mountPeers.ts"
import { type Argv, run } from "./mountProcesses.ts"
import { makeNoise, makeRandom, makeText, nextLogUniform } from "./SeededData.ts"

export type Scale = "small" | "full"

const MIB = 1024 * 1024

export const sizes = {
  small: { files: 5000, directories: 100, largeBytes: 64 * MIB, snapshots: 500, remoteChunks: 16 },
  full: { files: 100_000, directories: 1000, largeBytes: 1024 * MIB, snapshots: 10_000, remoteChunks: 128 }
} as const

const fileBytes = { least: 64, most: 8192 }
const modifiedSeconds = 1_700_000_000

export const makeTree = (folder: string, scale: Scale): void => {
  const { directories, files } = sizes[scale]
  const random = makeRandom(100_000)
  const fill = makeText(5)
  const content = Buffer.alloc(fileBytes.most)
  for (let index = 0; index < files; index++) {
    const directory = path.join(folder, `dir-${index % directories}`)
    if (index < directories) mkdirSync(directory)
    const file = path.join(directory, `a file with number ${index}`)
    const part = content.subarray(0, Math.floor(nextLogUniform(random, fileBytes.least, fileBytes.most)))
    fill(part)
    writeFileSync(file, part)
    utimesSync(file, modifiedSeconds + index, modifiedSeconds + index)
  }
}

const makeLarge = (folder: string, scale: Scale): void => {
  const noise = makeNoise("a large file")
  const block = Buffer.alloc(MIB)
  const target = openSync(path.join(folder, largeName), "wx")
  for (let done = 0; done < sizes[scale].largeBytes; done += block.length) {
    noise(block)
    writeSync(target, block)
  }
  closeSync(target)
}

/** Makes something unless it is there; what was cut off is made anew. */
export const once = async (place: string, make: (place: string) => Promise<void> | void): Promise<void> => {
  if (existsSync(place)) return
  const unfinished = `${place}.part`
  rmSync(unfinished, { recursive: true, force: true })
  await make(unfinished)
  renameSync(unfinished, place)
}

const makeStore = async (granary: Argv, store: string, { large, tree }: Places): Promise<void> => {
  const archives = [`tree.pxar:${tree}`, `large.pxar:${large}`]
  const modes = { granary: "data", "granary, version 1": "legacy" } as const
  await run([...granary, "init", store])
  for (const name of ["granary", "granary, version 1"] as const) {
    const how = ["--backup-id", backupIds[name], "--change-detection", modes[name]]
    await run([...granary, "backup", "--repository", store, ...how, ...archives])
  }
}

/** Where restic and squashfs are missing, nothing is made for them. */
export const prepare = async (
  places: Places,
  scale: Scale,
  granary: Argv,
  peers: ReadonlyArray<Peer>
): Promise<void> => {
  const isThere = (name: Peer["name"]): boolean =>
    peers.some((peer) => peer.name === name && peer.version !== undefined)
  const inFolder = (make: (folder: string, scale: Scale) => void) => (folder: string) => {
    mkdirSync(folder)
    make(folder, scale)
  }
  await once(places.tree, inFolder(makeTree))
  await once(places.large, inFolder(makeLarge))
  await once(places.store, (store) => makeStore(granary, store, places))
  if (isThere("squashfuse")) {
    await once(places.squashfs, async (image) => {
      await run(["mksquashfs", places.tree, image, "-no-progress", "-quiet"])
    })
  }
  if (isThere("restic")) {
    await once(places.restic, async (repository) => {
      const environment = resticEnvironment({ ...places, restic: repository })
      await run(["restic", "init"], { environment })
      await run(["restic", "backup", places.tree, places.large], { environment })
    })
  }
}
