/**
 * Checks: what must be true of the store when nobody is at work, however the round before went. Each check answers what
 * is wrong, one line each.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { openDatastore } from "../../src/promises.ts"
import * as Actor from "./Actor.ts"
import type { Setup } from "./Setup.ts"
import { digestOf } from "./Sources.ts"
import * as StoreFolder from "./StoreFolder.ts"

export type Problems = ReadonlyArray<string>

/** Contents by archive. */
export type Content = ReadonlyMap<string, string>

export interface Listed {
  /** Archive names of the finished snapshots, by name; of each group the newest one first. */
  readonly finished: ReadonlyMap<string, ReadonlyArray<string>>
  readonly unfinished: ReadonlyArray<string>
  readonly problems: Problems
}

export interface ListedSnapshot {
  readonly "backup-type": string
  readonly "backup-id": string
  readonly "backup-time": number
  readonly files: ReadonlyArray<{ readonly filename: string }>
  readonly size: number | null
  readonly damaged?: string
}

/** Runs a command that nobody disturbs and that has to end well. */
const runAlone = async (setup: Setup, kind: Actor.ActorKind, parameters: ReadonlyArray<string>) => {
  const actor = { kind, parameters, subject: undefined, delayMillis: 0, killAfterMillis: undefined }
  const ended = await Actor.run(setup.program, actor)
  return { ended, problems: ended.code === 0 ? [] : [`alone in the store: ${Actor.describe(ended)}`] }
}

export const nameOf = (listed: ListedSnapshot): string =>
  Snapshot.format(
    Snapshot.make(BackupGroup.parse(`${listed["backup-type"]}/${listed["backup-id"]}`), listed["backup-time"])
  )

/** `root.mpxar.didx` and `root.ppxar.didx` are `root.pxar`. */
export const archivesOf = (
  archives: ReadonlyArray<string>,
  { files }: ListedSnapshot
): ReadonlyArray<string> => {
  const present = new Set(files.map(({ filename }) => filename.replace(/\.(?:[fd]idx|blob)$/, "")))
  const isPresent = (name: string) =>
    present.has(name) || present.has(name.replace(/\.pxar$/, ".mpxar")) || present.has(`${name}.blob`)
  return archives.filter(isPresent)
}

export const compareListing = (
  listed: ReadonlyArray<ListedSnapshot>,
  folders: ReadonlyArray<StoreFolder.SnapshotFolder>
): Problems => {
  const byName = new Map(listed.map((each) => [nameOf(each), each]))
  const names = new Set(folders.map(({ name }) => name))
  return [
    ...[...byName.keys()].filter((name) => !names.has(name)).map((name) => `${name}: listed, but not there`),
    ...listed.flatMap((each) => (each.damaged === undefined ? [] : [`${nameOf(each)}: ${each.damaged}`])),
    ...folders.flatMap(({ name, hasManifest }) => {
      const found = byName.get(name)
      if (found === undefined) return [`${name}: there, but not listed`]
      const isFinished = found.size !== null && found.files.length > 0
      return isFinished === hasManifest ? [] : [`${name}: listed as ${isFinished ? "" : "un"}finished`]
    })
  ]
}

/** What the program lists, compared with the folders. */
export const list = async (setup: Setup): Promise<Listed> => {
  const { ended, problems } = await runAlone(setup, "verify", ["snapshots"])
  const listed = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<ListedSnapshot>
  const groups = setup.sources.map(({ group }) => group)
  const folders = StoreFolder.snapshotFolders(setup.program.store, groups)
  const archives = setup.sources.flatMap((source) => [...source.archives.keys()])
  const finished = listed.filter(({ size }) => size !== null)
  return {
    finished: new Map(finished.map((each) => [nameOf(each), archivesOf([...new Set(archives)], each)])),
    unfinished: listed.filter(({ size }) => size === null).map(nameOf),
    problems: [...problems, ...compareListing(listed, folders)]
  }
}

interface GcResult {
  readonly "removed-chunks": number
  readonly "pending-chunks": number
  readonly "disk-chunks": number
  readonly "removed-bad": number
  readonly "still-bad": number
  readonly "missing-chunks": ReadonlyArray<unknown>
}

const runGc = async (setup: Setup, mark: "set" | "atime", cutoffMinutes: number) => {
  const parameters = ["gc", "--mark", mark, "--cutoff", String(cutoffMinutes)]
  const { ended, problems } = await runAlone(setup, "gc", parameters)
  const result = JSON.parse(ended.standardOutput || "{}") as Partial<GcResult>
  const missing = result["missing-chunks"]
  return {
    result,
    problems: [
      ...problems,
      ...(missing?.length === 0 ? [] : [`gc misses chunks: ${JSON.stringify(missing)}`]),
      ...(result["removed-bad"] === 0 && result["still-bad"] === 0 ? [] : ["gc found corrupt chunks"])
    ]
  }
}

/** Nothing is missing, and nothing is old enough to go. */
export const gcThatKeepsAll = async (setup: Setup, mark: "set" | "atime"): Promise<Problems> => {
  const { result, problems } = await runGc(setup, mark, StoreFolder.keepsAllMinutes)
  return result["removed-chunks"] === 0 ? problems : [...problems, "gc removed chunks that were too young"]
}

/** Nothing is missing, and of what nobody needs and of what crashes left behind nothing stays. */
export const gcThatSweeps = async (setup: Setup): Promise<Problems> => {
  const { store } = setup.program
  StoreFolder.age(store)
  const { result, problems } = await runGc(setup, "set", 1)
  const left = StoreFolder.chunkFiles(store)
  const temporary = left.filter(StoreFolder.isTemporary)
  return [
    ...problems,
    ...temporary.map((name) => `${name}: a temporary file that outlives gc`),
    ...StoreFolder.leases(store).map((name) => `${name}: a lease that outlives gc`),
    ...(left.length === result["disk-chunks"] && result["pending-chunks"] === 0
      ? []
      : [`gc left ${left.length} files: ${JSON.stringify(result)}`])
  ]
}

interface Verified {
  readonly snapshot: string
  readonly state: string
}

/** `verify` finds every finished snapshot sound. */
export const verifyAll = async (setup: Setup, { finished }: Listed): Promise<Problems> => {
  const { ended, problems } = await runAlone(setup, "verify", ["verify", "--keyfile", setup.keyFile])
  const verified = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<Verified>
  const states = new Map(verified.map(({ snapshot, state }) => [snapshot, state]))
  return [
    ...problems,
    ...[...finished.keys()]
      .filter((name) => states.get(name) !== "ok")
      .map((name) => `${name}: verify says ${states.get(name)}`)
  ]
}

/** Restores one archive and compares it with what was backed up. */
const compare = async (
  restore: (snapshot: string, archive: string, target: string) => Promise<unknown>,
  scratch: string,
  [snapshot, archive, expected]: readonly [string, string, string]
): Promise<Problems> => {
  const target = path.join(scratch, "restored")
  try {
    await restore(snapshot, archive, target)
    return digestOf(target) === expected ? [] : [`${snapshot} ${archive}: something else was restored`]
  } catch (error) {
    return [`${snapshot} ${archive}: ${error instanceof Error ? error.message : String(error)}`]
  } finally {
    fs.rmSync(target, { recursive: true, force: true })
  }
}

/** Restores everything that is listed as finished, and compares. */
export const restoreAll = async (
  setup: Setup,
  { finished }: Listed,
  records: ReadonlyMap<string, Content>
): Promise<{ readonly archives: number; readonly problems: Problems }> => {
  await using datastore = await openDatastore(setup.program.store, { key: { file: setup.keyFile } })
  const problems: Array<string> = []
  let archives = 0
  for (const [snapshot, present] of finished) {
    const content = records.get(snapshot)
    if (content === undefined || present.length !== content.size) problems.push(`${snapshot}: not complete`)
    for (const [archive, expected] of content ?? []) {
      archives += 1
      const restore = (...where: readonly [string, string, string]) => datastore.restore(...where)
      problems.push(...(await compare(restore, setup.folder, [snapshot, archive, expected])))
    }
  }
  return { archives, problems }
}
