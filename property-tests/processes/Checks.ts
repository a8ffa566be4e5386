/**
 * Checks: what must be true of the store when nobody is at work, however the round before went and whatever the store
 * lies in. Each check answers what is wrong, one line each.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as Actor from "./Actor.ts"
import { digestOf, type Source } from "./Sources.ts"
import { keepsAllMinutes, type SnapshotFolder } from "./StoreFolder.ts"

export type Problems = ReadonlyArray<string>

/** Contents by archive. */
export type Content = ReadonlyMap<string, string>

export interface Listed {
  /** Archive names of the finished snapshots, by name; of each group the newest one first. */
  readonly finished: ReadonlyMap<string, ReadonlyArray<string>>
  readonly unfinished: ReadonlyArray<string>
  readonly problems: Problems
}

interface ListedSnapshot {
  readonly "backup-type": string
  readonly "backup-id": string
  readonly "backup-time": number
  readonly files: ReadonlyArray<{ readonly filename: string }>
  readonly size: number | null
  readonly damaged?: string
}

/** Runs a command that nobody disturbs and that has to end well. */
export const runAlone = async (
  program: Actor.Program,
  kind: Actor.ActorKind,
  parameters: ReadonlyArray<string>
) => {
  const actor = { kind, parameters, subject: undefined, delayMillis: 0, killAfterMillis: undefined }
  const ended = await Actor.run(program, actor)
  const isWell = ended.code === 0 || (ended.code === 3 && program.mayWarn === true)
  return { ended, problems: isWell ? [] : [`alone in the store: ${Actor.describe(ended)}`] }
}

const nameOf = (listed: ListedSnapshot): string =>
  Snapshot.format(
    Snapshot.make(BackupGroup.parse(`${listed["backup-type"]}/${listed["backup-id"]}`), listed["backup-time"])
  )

/** `root.mpxar.didx` and `root.ppxar.didx` are `root.pxar`. */
const archivesOf = (archives: ReadonlyArray<string>, { files }: ListedSnapshot): ReadonlyArray<string> => {
  const present = new Set(files.map(({ filename }) => filename.replace(/\.(?:[fd]idx|blob)$/, "")))
  const isPresent = (name: string) =>
    present.has(name) || present.has(name.replace(/\.pxar$/, ".mpxar")) || present.has(`${name}.blob`)
  return archives.filter(isPresent)
}

const compareListing = (
  listed: ReadonlyArray<ListedSnapshot>,
  folders: ReadonlyArray<SnapshotFolder>
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

/** What the program lists, compared with the folders of snapshots that are there then. */
export const list = async (
  program: Actor.Program,
  sources: ReadonlyArray<Source>,
  snapshotFolders: () => ReadonlyArray<SnapshotFolder> | Promise<ReadonlyArray<SnapshotFolder>>
): Promise<Listed> => {
  const { ended, problems } = await runAlone(program, "verify", ["snapshots"])
  const listed = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<ListedSnapshot>
  const archives = sources.flatMap((source) => [...source.archives.keys()])
  const finished = listed.filter(({ size }) => size !== null)
  return {
    finished: new Map(finished.map((each) => [nameOf(each), archivesOf([...new Set(archives)], each)])),
    unfinished: listed.filter(({ size }) => size === null).map(nameOf),
    problems: [...problems, ...compareListing(listed, await snapshotFolders())]
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

const runGc = async (program: Actor.Program, flags: ReadonlyArray<string>, cutoffMinutes: number) => {
  const parameters = ["gc", ...flags, "--cutoff", String(cutoffMinutes)]
  const { ended, problems } = await runAlone(program, "gc", parameters)
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
export const gcThatKeepsAll = async (
  program: Actor.Program,
  flags: ReadonlyArray<string> = []
): Promise<Problems> => {
  const { result, problems } = await runGc(program, flags, keepsAllMinutes)
  return result["removed-chunks"] === 0 ? problems : [...problems, "gc removed chunks that were too young"]
}

/** What lies in the store when garbage was collected. */
export interface Left {
  /** Everything where chunks are. */
  readonly chunks: ReadonlyArray<string>
  /** What should be gone, and why. */
  readonly outliving: Problems
}

/** Nothing is missing, and of what nobody needs and of what crashes left behind nothing stays. */
export const gcThatSweeps = async (
  program: Actor.Program,
  flags: ReadonlyArray<string>,
  look: () => Left | Promise<Left>
): Promise<Problems> => {
  const { result, problems } = await runGc(program, flags, 1)
  const { chunks, outliving } = await look()
  const isSwept = chunks.length === result["disk-chunks"] && result["pending-chunks"] === 0
  const rest = isSwept ? [] : [`gc left ${chunks.length} where chunks are: ${JSON.stringify(result)}`]
  return [...problems, ...outliving, ...rest]
}

export interface Verified {
  readonly snapshot: string
  readonly state: string
}

/** `verify` finds every finished snapshot sound. */
export const verifyAll = async (
  program: Actor.Program,
  keyFile: string,
  { finished }: Listed
): Promise<Problems> => {
  const { ended, problems } = await runAlone(program, "verify", ["verify", "--keyfile", keyFile])
  const verified = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<Verified>
  const states = new Map(verified.map(({ snapshot, state }) => [snapshot, state]))
  return [
    ...problems,
    ...[...finished.keys()]
      .filter((name) => states.get(name) !== "ok")
      .map((name) => `${name}: verify says ${states.get(name)}`)
  ]
}

export type Restore = (snapshot: string, archive: string, target: string) => Promise<unknown>

/** Restores one archive and compares it with what was backed up. */
const compare = async (
  restore: Restore,
  target: string,
  [snapshot, archive, expected]: readonly [string, string, string]
): Promise<Problems> => {
  try {
    await restore(snapshot, archive, target)
    return digestOf(target) === expected ? [] : [`${snapshot} ${archive}: something else was restored`]
  } catch (error) {
    return [`${snapshot} ${archive}: ${error instanceof Error ? error.message : String(error)}`]
  } finally {
    fs.rmSync(target, { recursive: true, force: true })
  }
}

export interface Restored {
  readonly archives: number
  readonly problems: Problems
}

/** Restores everything that is listed as finished, and compares. */
export const restoreAll = async (
  folder: string,
  { finished }: Listed,
  records: ReadonlyMap<string, Content>,
  restore: Restore
): Promise<Restored> => {
  const problems: Array<string> = []
  let archives = 0
  for (const [snapshot, present] of finished) {
    const content = records.get(snapshot)
    if (content === undefined || present.length !== content.size) problems.push(`${snapshot}: not complete`)
    for (const [archive, expected] of content ?? []) {
      archives += 1
      const target = path.join(folder, "restored")
      problems.push(...(await compare(restore, target, [snapshot, archive, expected])))
    }
  }
  return { archives, problems }
}
