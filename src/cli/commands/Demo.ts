/**
 * `granary demo [DIRECTORY]`: the main job on real data, from nothing to a compared restore, saying what it does. It is
 * what `npm start` runs.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Backup from "../../backup/Backup.ts"
import * as TreeSize from "../../backup/TreeSize.ts"
import * as Datastore from "../../datastore/Datastore.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as AuthId from "../../model/AuthId.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { compareTrees, describeDifference } from "../../restore/compareTrees.ts"
import * as Restore from "../../restore/Restore.ts"
import * as SnapshotReader from "../../restore/SnapshotReader.ts"
import * as Verify from "../../verify/Verify.ts"
import * as VerifyPlan from "../../verify/VerifyPlan.ts"
import { CommandFailed, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { writeStandardOutput } from "../Output.ts"
import { datastoreIn } from "../Repository.ts"
import { summaryText } from "./Backup.ts"
import { createDatastore } from "./Init.ts"

const folderName = "granary-demo"
const archive = ArchiveName.fromClient("data.pxar")
const group = BackupGroup.make("host", "demo")

const say = (text: string) => writeStandardOutput(`${text}\n`)
const heading = (text: string) => say(`\n== ${text}`)
const indented = (text: string) => say(text.replaceAll(/^(?=\S)/gm, "  "))

const checkDirectory = (directory: string) =>
  fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
    ? Effect.void
    : Effect.fail(
        new UsageError({ detail: `${directory}: no such directory`, hint: "name a directory to back up" })
      )

const backUp = (directory: string, expectedBytes: number) =>
  Effect.gen(function* () {
    const summary = yield* Backup.run({
      namespace: Namespace.root,
      group,
      owner: AuthId.parse("root@pam"),
      archives: [{ kind: "directory", archive, path: directory }],
      // The demo's own folder may lie inside of what is backed up.
      excludes: path.resolve(folderName).startsWith(`${directory}/`) ? [`/${folderName}`] : [],
      expectedBytes
    })
    yield* indented(summaryText(summary))
    return summary.snapshot
  })

const listAll = Effect.gen(function* () {
  const { hierarchy, snapshotFiles } = yield* Datastore.Datastore
  const rows = yield* Effect.forEach(yield* hierarchy.snapshots(Namespace.root, group), ({ snapshot }) =>
    Effect.map(snapshotFiles.manifest(Namespace.root, snapshot), ({ files }) => [
      Snapshot.format(snapshot),
      Format.bytes(files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)),
      files.map(({ filename }) => ArchiveName.fromFile(filename).client).join(" ")
    ])
  )
  yield* indented(Format.table(["snapshot", "size", "archives"], rows))
})

const verifyAll = Effect.gen(function* () {
  const plan = yield* VerifyPlan.make({ namespace: Namespace.root })
  const { snapshots, statistics } = yield* Verify.run(plan)
  const failed = snapshots.filter(({ state }) => state === "failed").length
  yield* indented(
    `${Format.counted(snapshots.length, "snapshot")}, ${Format.counted(statistics.chunks, "chunk")} read: ` +
      (failed === 0 ? "all is sound" : `${failed} failed`)
  )
  if (failed > 0) {
    return yield* new CommandFailed({ detail: "the verification found faults", hint: "check the disk" })
  }
})

const restoreAndCompare = (snapshot: Snapshot.Snapshot, source: string, target: string) =>
  Effect.gen(function* () {
    const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
    const summary = yield* Restore.run(reader, { archive: archive.client, target })
    yield* indented(`${Format.counted(summary.files, "file")}, ${Format.bytes(summary.bytes)} in ${target}`)
    yield* heading("Comparing what was restored with the source")
    const differences = [...compareTrees(source, target)].map(describeDifference)
    if (differences.length === 0)
      return yield* indented("no difference: content, modes, owners, times, links, attributes")
    for (const difference of differences.slice(0, 10)) yield* indented(difference)
    return yield* new CommandFailed({
      detail: `${Format.counted(differences.length, "difference")} between ${source} and ${target}`,
      hint: "files that changed meanwhile differ; anything else is a fault to report"
    })
  }).pipe(Effect.scoped)

const nextSteps = (store: string, snapshot: Snapshot.Snapshot) =>
  [
    `The datastore:      ${store}`,
    "",
    "Try next:",
    `  npm run granary -- snapshots -r ${store}`,
    `  npm run granary -- ls -r ${store} ${BackupGroup.format(group)} ${archive.client}`,
    `  npm run granary -- find -r ${store} ${BackupGroup.format(group)} package.json`,
    `  npm run granary -- serve-files -r ${store}`,
    `  npm run granary -- backup -r ${store} etc.pxar:/etc`,
    `  npm run granary -- forget -r ${store} ${Snapshot.format(snapshot)}`,
    "  npm run granary -- --help"
  ].join("\n")

export const demo = Command.make(
  "demo",
  {
    directory: Argument.String("directory").pipe(
      Argument.withDescription("What to back up; node_modules by default"),
      Argument.withDefault("node_modules")
    )
  },
  ({ directory }) =>
    Effect.gen(function* () {
      yield* checkDirectory(directory)
      const source = path.resolve(directory)
      const base = path.resolve(folderName)
      const store = path.join(base, "store")
      fs.mkdirSync(base, { recursive: true })
      yield* heading(`Making a datastore in ${store}`)
      if (fs.existsSync(path.join(store, ".chunks"))) yield* indented("it is there from an earlier run")
      else yield* createDatastore(store)
      yield* Effect.gen(function* () {
        const expectedBytes = yield* TreeSize.estimate(source)
        yield* heading(`Backing up ${source}`)
        yield* backUp(source, expectedBytes)
        yield* heading("Backing it up again: what deduplication saves")
        const snapshot = yield* backUp(source, expectedBytes)
        yield* heading("What is in the datastore")
        yield* listAll
        yield* heading("Verifying every chunk")
        yield* verifyAll
        yield* heading("Restoring")
        const target = path.join(base, `restored-${snapshot.directory.replaceAll(":", "")}`)
        yield* restoreAndCompare(snapshot, source, target)
        yield* say(`\n${nextSteps(path.relative(".", store), snapshot)}`)
      }).pipe(Effect.provide(datastoreIn(store)))
    })
).pipe(Command.withDescription("Show the main job on real data: back up, list, verify, restore, compare"))
