/** BucketStart: buckets and cache folders as they are when a scenario begins, made by the product's own code. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { MemoryBucket, MemoryDisk, type MemoryObjectStore, run } from "../../../../src/testing.ts"
import { guarded, type Mutation } from "../Mutation.ts"
import { nameGuard } from "../points.ts"
import { basePath } from "../StoreView.ts"
import { digestOfText, pathOfChunk, preparedSeconds, startMillis, type StoreEffect } from "../World.ts"
import { keyOfDigest, storeName } from "./BucketView.ts"
import { type BucketStart, BucketWorld, title } from "./BucketWorld.ts"

export const keyOfChunk = (text: string): string => keyOfDigest(digestOfText(text))

/** Makes a marker in a folder behind everybody's back. */
export const layMarker = (disk: MemoryDisk, text: string): void => {
  const path = pathOfChunk(text)
  const isThere = disk.list(path.slice(0, path.lastIndexOf("/")), 0).some(([name]) => path.endsWith(name))
  if (!isThere) disk.create(path, 0o644, startMillis)
}

export interface BucketSetUp {
  /** Contents of all chunks that the scenario ever stores: only their folders are made. */
  readonly contents: ReadonlyArray<string>
  /** Default: `here` alone. */
  readonly hosts?: ReadonlyArray<string>
  readonly namespaces?: ReadonlyArray<string>
  /** What each host does before, one after the other, three days before the scenario begins. */
  readonly setUp: Readonly<Record<string, StoreEffect>>
  /** Behind the back of every program. */
  readonly damage?: (start: BucketStart) => void
}

const newFolder = (contents: ReadonlyArray<string>, namespaces: ReadonlyArray<string>): MemoryDisk => {
  const disk = new MemoryDisk()
  const now = preparedSeconds * 1000
  disk.makeDirectory(basePath, 0o755, now)
  disk.makeDirectory(`${basePath}/.chunks`, 0o750, now)
  for (const prefix of new Set(contents.map((content) => digestOfText(content).slice(0, 4)))) {
    disk.makeDirectory(`${basePath}/.chunks/${prefix}`, 0o750, now)
  }
  disk.create(`${basePath}/.lock`, 0o644, now)
  const mark = JSON.stringify({ store: storeName, bucket: title, id: "", state: "ready" })
  disk.append(disk.create(`${basePath}/.granary-bucket`, 0o644, now), Buffer.from(mark), now)
  if (namespaces.length > 0) disk.makeDirectory(`${basePath}/ns`, 0o755, now)
  for (const name of namespaces) disk.makeDirectory(`${basePath}/ns/${name}`, 0o755, now)
  return disk
}

export interface Alone {
  readonly startMillis: number
  readonly host?: string
  readonly mutation?: Mutation
  readonly server?: MemoryObjectStore.ServerTraits
}

/** Runs something to its end, by itself, on what is given; nothing of it is explored. */
export const runAlone = (
  start: BucketStart,
  work: StoreEffect,
  { host = "here", mutation = guarded, server = {}, startMillis }: Alone
): Exit.Exit<unknown, unknown> => {
  const quiet = { mutation, server, points: () => false, requests: () => false }
  const world = new BucketWorld(start, quiet)
  const { outcome } = run({ program: world.process("alone", { host })(work) }, {}, { startMillis })
  return outcome._tag === "Done" ? outcome.exit : Exit.die(new Error(`it ended with ${outcome._tag}`))
}

/** What scenarios begin with; fork it for each run. */
export const prepareBucket = ({
  contents,
  damage,
  hosts = ["here"],
  namespaces = [],
  setUp
}: BucketSetUp): BucketStart => {
  for (const content of contents) nameGuard(digestOfText(content))
  const bucket = new MemoryBucket()
  for (const name of namespaces) {
    bucket.put(`${storeName}/.cnt/ns/${name}/.namespace`, new Uint8Array(0), preparedSeconds * 1000)
  }
  const disks = Object.fromEntries(hosts.map((host) => [host, newFolder(contents, namespaces)]))
  const start = { bucket, disks }
  for (const [host, work] of Object.entries(setUp)) {
    const exit = runAlone(start, Effect.scoped(work as never), { host, startMillis: preparedSeconds * 1000 })
    if (Exit.isFailure(exit)) throw new Error(`the store could not be prepared: ${Cause.pretty(exit.cause)}`)
  }
  for (const disk of Object.values(disks)) disk.syncAll()
  damage?.(start)
  return start
}

export const forkStart = ({ bucket, disks }: BucketStart): BucketStart => ({
  bucket: bucket.clone(),
  disks: Object.fromEntries(Object.entries(disks).map(([name, disk]) => [name, disk.fork()]))
})
