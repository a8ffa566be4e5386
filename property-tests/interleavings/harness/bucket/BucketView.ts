/**
 * BucketView: what lies in a memory bucket that holds a datastore, read by a decoder of its own, as `StoreView` reads a
 * disk: so the same invariants are looked at. And what a cache folder says that is not true (the ledger's I3).
 */
import type { MemoryBucket, MemoryDisk } from "../../../../src/testing.ts"
import {
  basePath,
  contentHash,
  digestLength,
  listOf,
  type SnapshotView,
  type Soundness,
  soundnessOf,
  type StoreView,
  viewSnapshot
} from "../StoreView.ts"

export const storeName = "store"

const chunksPrefix = `${storeName}/.chunks/`
const contentPrefix = `${storeName}/.cnt/`
const leasesPattern = new RegExp(`^${storeName}/\\.granary/(?:writers|collectors)/`)

export const keyOfDigest = (digest: string): string => `${chunksPrefix}${digest.slice(0, 4)}/${digest}`

const snapshotFile = /^(.*(?:vm|ct|host)\/[^/]+\/[^/]+)\/([^/]+)$/

const viewSnapshots = (bucket: MemoryBucket, keys: ReadonlyArray<string>): ReadonlyArray<SnapshotView> => {
  const folders = new Map<string, Map<string, Uint8Array>>()
  for (const key of keys) {
    if (!key.startsWith(contentPrefix)) continue
    const [, path, name] = snapshotFile.exec(key.slice(contentPrefix.length)) ?? []
    const body = bucket.find(key)?.body
    if (path === undefined || name === undefined || body === undefined) continue
    const contents = folders.get(path) ?? new Map<string, Uint8Array>()
    folders.set(path, contents.set(name, body))
  }
  return [...folders].map(([path, contents]) => viewSnapshot(path, contents))
}

/** Everything that the bucket holds. */
export const viewBucket = (bucket: MemoryBucket): StoreView => {
  const keys = bucket.keys()
  const chunks = new Map<string, Soundness>()
  const bad = new Map<string, Array<Soundness>>()
  const seen: Array<string> = []
  for (const key of keys) {
    const body = bucket.find(key)?.body ?? new Uint8Array(0)
    if (!key.startsWith(`${storeName}/.granary/`)) seen.push(`${key} ${contentHash(body)}`)
    if (!key.startsWith(chunksPrefix)) continue
    const name = key.slice(key.lastIndexOf("/") + 1)
    const digest = name.slice(0, digestLength)
    const soundness = soundnessOf(body, digest)
    if (name.length === digestLength) chunks.set(digest, soundness)
    else bad.set(digest, [...(bad.get(digest) ?? []), soundness])
  }
  return {
    snapshots: viewSnapshots(bucket, keys),
    chunks,
    bad,
    temporaries: [],
    leases: keys.filter((key) => leasesPattern.test(key)).length,
    fingerprint: seen.join("\n")
  }
}

const textOf = (bucket: MemoryBucket, part: "generation" | "condemned"): string =>
  Buffer.from(bucket.find(`${storeName}/.granary/${part}`)?.body ?? []).toString()

/** Whether the folder counts its markers as checked. */
const isCurrent = (disk: MemoryDisk, bucket: MemoryBucket): boolean => {
  const [, file] = disk.list(basePath, 0).find(([name]) => name === ".granary-generation") ?? []
  if (file === undefined) return false
  try {
    const { boot, condemned, generation } = JSON.parse(Buffer.from(file.content).toString())
    const isSame = generation === textOf(bucket, "generation") && condemned === textOf(bucket, "condemned")
    return isSame && (boot === undefined || boot === `boot ${disk.powerLosses}`)
  } catch {
    return false
  }
}

/** Names in the chunk folders: of chunks, and of what is beside them. */
export const namesInFolder = (disk: MemoryDisk): ReadonlyArray<string> =>
  listOf(disk, `${basePath}/.chunks`).flatMap(([folder]) =>
    listOf(disk, `${basePath}/.chunks/${folder}`).map(([name]) => name)
  )

/** I3: a file or marker of a folder that is up to date says that the object exists. */
export const untrueName = (disk: MemoryDisk, bucket: MemoryBucket): string | undefined => {
  if (!isCurrent(disk, bucket)) return undefined
  return namesInFolder(disk).find(
    (name) => name.length === digestLength && bucket.find(keyOfDigest(name)) === undefined
  )
}
