/**
 * MarkPhase: marks what every index of a store needs, while backups, prunes and moves go on.
 *
 * Why no chunk is lost. A chunk of a snapshot that a session finishes came into the session in one of two ways:
 *
 * 1. The session stored it or touched it. Its time is then not before the session's start. A session that had a lease
 *    when the leases were read holds the cutoff back; one that came later stores and touches nothing before that
 *    moment; one that had ended has its indexes in place, where the walk that follows finds them.
 * 2. The session knew it from its base, the snapshot it builds on. It holds the base's lock until it ends, so the base
 *    is there, finished, for all of that time.
 *
 * So follow a finished snapshot X0 along its bases X1, X2, ... as long as they were not finished when the last listing
 * of their group began. All their sessions ended after that, so by 1 what they stored is safe; and what they knew is
 * in the first one, Xm, that was finished by then. It was also still there: its successor was either being made at
 * that moment, and held its lock, or began later, and found it. So Xm was in that listing. It remains to make sure
 * that everything in the last listing has been marked. A listing takes time and reading its indexes takes more, and in
 * the meantime snapshots come and go. Therefore a group is listed again until a whole round shows nothing that the
 * rounds before have not marked: no new name, no index whose checksum is another, and nothing missing that was there.
 * (It does not suffice to start again when the newest snapshot has vanished: when the newest is forgotten after it was
 * read, the next backup builds on the one before it, and that can be pruned before it is read.)
 *
 * Groups that move to another namespace are in the move journal under their last place before they leave the first. It
 * is drained when the walk is over, under its lock, by looking at each whole group there: in its new place backups may
 * have gone on. Groups made later have snapshots of later sessions only, to which 1 applies.
 *
 * A damaged index is not an error of this phase; it is reported, and nothing may be swept then. An index of a snapshot
 * that was never finished is not needed by anybody when it is damaged.
 */
import * as Effect from "effect/Effect"
import { Datastore, groupLockName } from "../datastore/Datastore.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as BackupTime from "../model/BackupTime.ts"
import type { Digest } from "../model/Digest.ts"
import * as Namespace from "../model/Namespace.ts"
import type { Files } from "../platform/Files.ts"
import { Progress } from "../platform/Progress.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import { groupPath } from "../store/StoreLayout.ts"
import type { LiveWriter } from "../store/Writers.ts"
import type { GcRules } from "./GcRules.ts"
import { type Listed, listGroup, listSnapshot } from "./GroupListing.ts"
import * as IndexFile from "./IndexFile.ts"
import * as IndexTree from "./IndexTree.ts"
import type { Marks } from "./Marks.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface MarkInput {
  readonly marks: Marks
  readonly rules: GcRules
  readonly writers: ReadonlyArray<LiveWriter>
  /** A dry run leaves the move journal as it is, and takes no lock. */
  readonly isDryRun: boolean
}

export interface MarkOutcome {
  readonly indexFiles: number
  /** Sizes of all archives together. */
  readonly indexBytes: number
  readonly warnings: ReadonlyArray<string>
  /** The time of the oldest snapshot that is not finished; infinity when there is none. */
  readonly oldestUnfinishedSeconds: number
  /** Indexes whose references nobody knows. */
  readonly damaged: ReadonlyArray<string>
  /** Files that were to replace others, of programs at work or dead. */
  readonly temporaries: ReadonlyArray<string>
  /** Paths of the indexes that were marked, and what their headers said. */
  readonly marked: ReadonlyMap<string, Digest>
}

/** From here on a round tries to keep backups out of the group, so that it is the last one. */
const freeRounds = 10
const roundsMax = 1000

interface Walk extends MarkInput {
  /** Indexes that are marked, and what their headers said. */
  readonly marked: Map<string, Digest>
  /** Kind and checksum: the same bytes mean other digests in the other kind. */
  readonly markedContents: Set<string>
  readonly pathsLeft: Set<string>
  readonly damaged: Set<string>
  readonly warnings: Set<string>
  readonly totals: {
    indexFiles: number
    indexBytes: number
    expected: number
    oldestUnfinishedSeconds: number
  }
}

type Requirements = Datastore | Files

/** `new`: it was not marked before. `same`: it was. */
type Seen = "new" | "same" | "vanished"

const foundDamage = (walk: Walk, path: string, { message }: StoreError, isNeeded: boolean): Seen => {
  if (isNeeded) walk.damaged.add(path)
  walk.warnings.add(isNeeded ? message : `${message}; its backup was never finished`)
  return "same"
}

/** Marks one index file, unless this very content has been marked. */
const markFile = (
  walk: Walk,
  path: string,
  isNeeded: boolean
): Effect.Effect<Seen, StorageError, Requirements> =>
  Effect.gen(function* () {
    const known = walk.marked.get(path)
    if (known !== undefined) {
      const checksum = yield* IndexFile.readChecksum(path)
      if (checksum === undefined) return "vanished"
      if (checksum === known) return "same"
    }
    if (walk.damaged.has(path)) return "same"
    const index = yield* IndexFile.read(path).pipe(
      Effect.catchTag("StoreError", (error) => Effect.succeed(error))
    )
    if (index === undefined) return "vanished"
    walk.pathsLeft.delete(path)
    if ("_tag" in index) return foundDamage(walk, path, index, isNeeded)
    const fault = yield* markAndProve(walk, path, index)
    if (fault !== undefined) return foundDamage(walk, path, fault, isNeeded)
    if (known === undefined) walk.totals.indexFiles += 1
    walk.totals.indexBytes += index.sizeBytes
    walk.marked.set(path, index.checksum)
    yield* reportProgress(walk, path)
    return "new"
  })

/** Answers what is wrong with the index, if anything is. */
const markAndProve = (walk: Walk, path: string, index: ChunkIndex) =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore
    const content = `${index.kind} ${index.checksum}`
    const isRepeated = walk.markedContents.has(content)
    if (isRepeated) countRepeated(walk.marks, index.count)
    const prove = IndexFile.prove(path, index, chunks.digest)
    const [proof] = yield* Effect.all(
      [Effect.result(prove), isRepeated ? Effect.void : walk.marks.mark(index)],
      { concurrency: "unbounded" }
    )
    if (proof._tag === "Failure") return proof.failure
    walk.markedContents.add(content)
    return undefined
  })

const countRepeated = ({ statistics }: Marks, count: number): void => {
  statistics.entries += count
  statistics.hits += count
}

const reportProgress = (walk: Walk, subject: string) =>
  Effect.map(Progress, (report) =>
    report({
      type: "progress",
      task: "gc-mark",
      subject,
      state: "running",
      unit: "indexes",
      done: walk.totals.indexFiles,
      total: Math.max(walk.totals.expected, walk.totals.indexFiles),
      counts: { chunks: walk.marks.statistics.misses }
    })
  )

const noteUnfinished = ({ totals }: Walk, folder: string): void => {
  const seconds = BackupTime.parse(folder.slice(folder.lastIndexOf("/") + 1))
  totals.oldestUnfinishedSeconds = Math.min(totals.oldestUnfinishedSeconds, seconds)
}

/** Marks one snapshot; answers whether it is as the round before left it. */
const markSnapshot = (walk: Walk, folder: string, before: Listed | undefined) =>
  Effect.gen(function* () {
    const listed = yield* listSnapshot(folder)
    if (listed === undefined) return { listed, isSettled: false }
    if (!listed.isFinished) noteUnfinished(walk, folder)
    let isSettled = before !== undefined && before.isFinished === listed.isFinished
    if (before?.indexes.some((path) => !listed.indexes.includes(path)) === true) isSettled = false
    for (const path of listed.indexes) {
      if ((yield* markFile(walk, path, listed.isFinished)) !== "same") isSettled = false
    }
    return { listed, isSettled }
  })

const markGroup = (
  walk: Walk,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<void, Failure, Requirements> =>
  Effect.gen(function* () {
    const { layout, locks } = yield* Datastore
    const folder = groupPath(layout, namespace, group)
    let before = new Map<string, Listed>()

    /** Answers whether nothing has changed since the round before. */
    const round = Effect.gen(function* () {
      const names = yield* listGroup(folder, group)
      if (names === undefined) return true
      const now = new Map<string, Listed>()
      let isSettled = true
      for (const name of names) {
        const result = yield* markSnapshot(walk, `${folder}/${name}`, before.get(name))
        if (result.listed !== undefined) now.set(name, result.listed)
        if (!result.isSettled) isSettled = false
      }
      before = now
      return isSettled
    })

    for (let count = 0; count < roundsMax; count++) {
      const isSettled =
        count < freeRounds
          ? yield* round
          : yield* Effect.scoped(
              Effect.andThen(locks.tryHold(groupLockName(namespace, group), "shared"), round)
            )
      if (isSettled || !walk.rules.relistsChangedGroups) return
    }
    return yield* storeError("Busy", BackupGroup.format(group), "this backup group does not stop changing")
  })

/** Reads `ns/a/ns/b/host/x`. */
const parsePlace = (place: string) => {
  const parts = place.split("/")
  const names: Array<string> = []
  while (parts[0] === "ns") names.push(...parts.splice(0, 2).slice(1))
  return { namespace: Namespace.parse(names.join("/")), group: BackupGroup.parse(parts.join("/")) }
}

const markMoved = (walk: Walk, place: string) =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const parsed = yield* Effect.try({
      try: () => parsePlace(place),
      catch: () =>
        storeError("Damaged", layout.moveJournal, `it names ${JSON.stringify(place)}, which is no group`)
    })
    yield* markGroup(walk, parsed.namespace, parsed.group)
  })

const drainMoves = (walk: Walk) =>
  Effect.gen(function* () {
    const { moves } = yield* Datastore
    const visit = (places: ReadonlyArray<string>) =>
      Effect.forEach(places, (place) => markMoved(walk, place), { discard: true })
    yield* walk.isDryRun ? Effect.flatMap(moves.peek, visit) : moves.drain(visit)
  })

/** What is left when all groups are done: copies that somebody made by hand, folders with names that are no names. */
const markStrays = (walk: Walk) =>
  Effect.gen(function* () {
    for (const path of walk.pathsLeft) {
      const seen = yield* markFile(walk, path, true)
      if (seen === "new")
        walk.warnings.add(`${path}: an index outside of the expected folders; it was marked`)
    }
  })

const markGroups = (walk: Walk) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
      // A namespace that vanishes has been removed with what was in it, or its groups have moved.
      const groups = yield* hierarchy.groups(namespace).pipe(
        Effect.catchIf(
          (error) => error._tag === "StoreError" && error.reason === "NoSuchNamespace",
          () => Effect.succeed([])
        )
      )
      for (const group of groups) yield* markGroup(walk, namespace, group)
    }
  })

const linkWarning = (path: string): string =>
  `${path}: a symbolic link, not followed; what lies behind it is not marked`

export const run = (input: MarkInput): Effect.Effect<MarkOutcome, Failure, Requirements> =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const tree = yield* IndexTree.walk(layout)
    const walk: Walk = {
      ...input,
      marked: new Map(),
      markedContents: new Set(),
      pathsLeft: new Set(tree.paths),
      damaged: new Set(),
      warnings: new Set(tree.links.map(linkWarning)),
      totals: {
        indexFiles: 0,
        indexBytes: 0,
        expected: tree.paths.size,
        oldestUnfinishedSeconds: Number.POSITIVE_INFINITY
      }
    }
    if (input.rules.marksWriterBases) {
      for (const base of input.writers.flatMap(({ bases }) => bases)) {
        yield* markFile(walk, `${layout.base}/${base}`, true)
      }
    }
    yield* markGroups(walk)
    if (input.rules.marksStrayIndexes) yield* markStrays(walk)
    if (input.rules.drainsMoves) yield* drainMoves(walk)
    const { damaged, totals, warnings } = walk
    const { temporaries } = tree
    return { ...totals, warnings: [...warnings], damaged: [...damaged], temporaries, marked: walk.marked }
  })
