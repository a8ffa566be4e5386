/**
 * HostsChecks: what must be true of a datastore in a bucket when nobody is at work, seen by a machine that has nothing
 * but the bucket, and by a host that collects garbage alone. Each check answers what is wrong, one line each.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import * as CryptConfig from "../../../src/format/CryptConfig.ts"
import * as KeyFile from "../../../src/format/KeyFile.ts"
import * as BucketReading from "../../../src/datastore/BucketReading.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import * as NodePlatform from "../../../src/platform/NodePlatform.ts"
import * as Restore from "../../../src/restore/Restore.ts"
import * as SnapshotReader from "../../../src/restore/SnapshotReader.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import { settingsOf } from "../../../test/objectstore/s3/buckets.ts"
import * as Actor from "../Actor.ts"
import { archivesOf, compareListing, type Content, type Listed, type ListedSnapshot } from "../Checks.ts"
import { nameOf, type Problems } from "../Checks.ts"
import { digestOf } from "../Sources.ts"
import * as StoreFolder from "../StoreFolder.ts"
import { type Host, type HostsSetup, storeName } from "./HostsSetup.ts"

/** Runs a command that nobody disturbs and that has to end well. */
export const runAlone = async (
  program: Actor.Program,
  kind: Actor.ActorKind,
  parameters: ReadonlyArray<string>
) => {
  const actor = { kind, parameters, subject: undefined, delayMillis: 0, killAfterMillis: undefined }
  const ended = await Actor.run(program, actor)
  const isWell = ended.code === 0 || ended.code === 3
  return { ended, problems: isWell ? [] : [`alone in the store: ${Actor.describe(ended)}`] }
}

/** The snapshots in the bucket, by its keys. */
const snapshotFolders = (keys: ReadonlyArray<string>): ReadonlyArray<StoreFolder.SnapshotFolder> => {
  const found = new Map<string, boolean>()
  for (const key of keys) {
    const [, name, file] = /^store\/\.cnt\/([^/]+\/[^/]+\/\d{4}-[^/]+)\/(.+)$/.exec(key) ?? []
    if (name !== undefined) found.set(name, found.get(name) === true || file === "index.json.blob")
  }
  return [...found].map(([name, hasManifest]) => ({ name, hasManifest }))
}

/** What the program lists without a folder, compared with the keys. */
export const list = async ({ endpoint, reader, sources }: HostsSetup): Promise<Listed> => {
  const { ended, problems } = await runAlone(reader, "verify", ["snapshots"])
  const listed = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<ListedSnapshot>
  const archives = sources.flatMap((source) => [...source.archives.keys()])
  const finished = listed.filter(({ size }) => size !== null)
  return {
    finished: new Map(finished.map((each) => [nameOf(each), archivesOf([...new Set(archives)], each)])),
    unfinished: listed.filter(({ size }) => size === null).map(nameOf),
    problems: [...problems, ...compareListing(listed, snapshotFolders(await endpoint.keys()))]
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

const runGc = async (host: Host, cutoffMinutes: number) => {
  const { ended, problems } = await runAlone(host.program, "gc", ["gc", "--cutoff", String(cutoffMinutes)])
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
export const gcThatKeepsAll = async (host: Host): Promise<Problems> => {
  const { problems, result } = await runGc(host, StoreFolder.keepsAllMinutes)
  return result["removed-chunks"] === 0 ? problems : [...problems, "gc removed chunks that were too young"]
}

/** Nothing is missing, and of what nobody needs nothing stays in the bucket; nor do marks of the dead. */
export const gcThatSweeps = async ({ endpoint }: HostsSetup, host: Host): Promise<Problems> => {
  const { problems, result } = await runGc(host, 1)
  const keys = await endpoint.keys()
  const chunks = keys.filter((key) => key.startsWith(`${storeName}/.chunks/`))
  const marks = keys.filter((key) => /\/\.granary\/(?:writers|collectors)\//.test(key))
  return [
    ...problems,
    ...marks.map((key) => `${key}: a mark that outlives gc`),
    ...(chunks.length === result["disk-chunks"] && result["pending-chunks"] === 0
      ? []
      : [`gc left ${chunks.length} objects: ${JSON.stringify(result)}`])
  ]
}

interface Verified {
  readonly snapshot: string
  readonly state: string
}

/** `verify` finds every finished snapshot sound, by everything that it reads from the bucket. */
export const verifyAll = async (setup: HostsSetup, { finished }: Listed): Promise<Problems> => {
  const parameters = ["verify", "--keyfile", setup.keyFile]
  const { ended, problems } = await runAlone(setup.reader, "verify", parameters)
  const verified = JSON.parse(ended.standardOutput || "[]") as ReadonlyArray<Verified>
  const states = new Map(verified.map(({ snapshot, state }) => [snapshot, state]))
  return [
    ...problems,
    ...[...finished.keys()]
      .filter((name) => states.get(name) !== "ok")
      .map((name) => `${name}: verify says ${states.get(name)}`)
  ]
}

const restoreOne = (setup: HostsSetup, crypt: CryptConfig.CryptConfig, expected: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [name = "", archive = "", digest] = expected
    const target = path.join(setup.folder, "restored")
    fs.rmSync(target, { recursive: true, force: true })
    const reader = yield* SnapshotReader.open({
      namespace: Namespace.root,
      snapshot: Snapshot.parse(name),
      crypt
    })
    yield* Restore.run(reader, { archive, target })
    return digestOf(target) === digest ? [] : [`${name} ${archive}: something else was restored`]
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed([`${expected.join(" ")}: ${error.message}`]))
  )

/** Restores everything that is listed as finished straight from the bucket, and compares. */
export const restoreAll = async (
  setup: HostsSetup,
  { finished }: Listed,
  records: ReadonlyMap<string, Content>
): Promise<{ readonly archives: number; readonly problems: Problems }> => {
  const crypt = CryptConfig.fromKey(KeyFile.unlock(KeyFile.decode(fs.readFileSync(setup.keyFile)), undefined))
  const incomplete = [...finished].filter(([name, present]) => records.get(name)?.size !== present.length)
  const wanted = [...finished.keys()].flatMap((name) =>
    [...(records.get(name) ?? [])].map(([archive, digest]) => [name, archive, digest])
  )
  const restored = await Effect.gen(function* () {
    const objects = yield* S3ObjectStore.make(settingsOf(setup.endpoint.place))
    const reading = BucketReading.layer(StoreBucket.make({ objects, name: storeName }))
    return yield* Effect.provide(
      Effect.forEach(wanted, (expected) => restoreOne(setup, crypt, expected)),
      Layer.provideMerge(reading, NodePlatform.layer)
    )
  }).pipe(Effect.scoped, Effect.runPromise)
  return {
    archives: wanted.length,
    problems: [...incomplete.map(([name]) => `${name}: not complete`), ...restored.flat()]
  }
}
