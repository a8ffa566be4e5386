/**
 * BucketSweep: carries out what a plan says about a bucket: mends what is missing there, drops what is not true in the
 * cache folder, and removes objects in batches, one request each.
 *
 * For each batch the guards of all its digests are taken without waiting (whoever holds one works on that chunk, which
 * is passed over), and held until the server has answered. Under them every local file is looked at once more: who has
 * used the chunk since has renewed its time. Then the local names go, and only then the objects. Whatever happens in
 * between, no name is left that says that a chunk exists that may be gone:
 *
 * - killed before the request: the objects are there, and nothing is known of them; the next who stores such a chunk
 *   is told `present`, the next collection removes the others;
 * - killed during it, or no answer: some are gone, some are there, and of none anything is known;
 * - the power fails: names that were taken away may come back. But the folder's generation then bears the name of
 *   another start of the machine, so that the next writer checks all of them (see `store/bucket/Generation`);
 * - one key fails: that object stays, is counted, and nothing is known of it.
 *
 * In the other order a kill would leave markers of objects that are gone, and the next backup would count on them.
 *
 * A request whose outcome is open may still be carried out a little later. So its guards are kept for a minute more:
 * who waits for them then asks the server when there is nothing left that could undo the answer. A process that is
 * killed cannot do that; what is left of it is a request that is on its way at that moment.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { Datastore } from "../../datastore/Datastore.ts"
import type { Digest } from "../../model/Digest.ts"
import type { DeleteReport } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import type { ObjectKey } from "../../objectstore/ObjectKey.ts"
import { Files, isNotFound } from "../../platform/Files.ts"
import type { FileRow } from "../../store/bucket/FileRows.ts"
import { keyOf } from "../../store/bucket/StoreBucket.ts"
import * as UntrueFiles from "../../store/bucket/UntrueFiles.ts"
import type { StorageError } from "../../store/StorageError.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { chunkPath } from "../../store/StoreLayout.ts"
import type { GcPlan } from "../GcPlan.ts"
import { GcRules } from "../GcRules.ts"
import type { Removal, Removals } from "../Removals.ts"
import * as Sweep from "../Sweep.ts"
import type { BucketPlan } from "./BucketLook.ts"

type Failure = StorageError | StoreError

/** By then the server has carried out what it still had of a request. */
const settlePause = "1 minute"

/** A server that fails so many batches in a row is left alone. */
const failuresMax = 3

const dropsAtOnce = 8

interface Run {
  readonly plan: GcPlan
  readonly bucket: BucketPlan
  readonly tally: Sweep.Tally
}

const keyFor = ({ bucket }: Run, { digest, kind, number }: Removal): ObjectKey =>
  keyOf(
    bucket.site.bucket,
    kind === "bad" ? { kind: "bad chunk", digest, number } : { kind: "chunk", digest }
  )

const countError = (tally: Sweep.Tally, error: StorageError): void => void tally.errors.push(error.message)

const localFile = ({ digest, fileName }: Removal) =>
  Effect.map(Datastore, ({ layout }) => `${path.dirname(chunkPath(layout, digest))}/${fileName}`)

/** Whether nobody has used it since the plan was made; takes the local name away, if that is so. */
const forget = ({ plan, tally }: Run, removal: Removal) =>
  Effect.gen(function* () {
    const files = yield* Files
    const rules = yield* GcRules
    const file = yield* localFile(removal)
    const stat = yield* files.stat(file).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (stat === undefined) return true
    const isExpired =
      stat.kind === "file" && Math.max(stat.atimeSeconds, stat.mtimeSeconds) < plan.cutoffSeconds
    if (!isExpired && rules.rechecksUnderGuard) {
      Sweep.countRenewed(tally, removal, removal.sizeBytes)
      return false
    }
    if (rules.forgetsBeforeDeleting) yield* files.unlink(file)
    return true
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        Sweep.countFailed(tally, removal, error)
        return false
      })
    )
  )

/** What the rule `forgetsBeforeDeleting` says, when it is switched off. */
const forgetAfterwards = (gone: ReadonlyArray<Removal>) =>
  Effect.gen(function* () {
    if ((yield* GcRules).forgetsBeforeDeleting) return
    const files = yield* Files
    for (const removal of gone) yield* Effect.ignore(files.unlink(yield* localFile(removal)))
  })

const isOpen = (outcome: DeleteReport | ObjectStoreError): boolean =>
  "_tag" in outcome ? outcome.outcomeUnknown : outcome.failed.some(({ error }) => error.outcomeUnknown)

/** One request. Answers whether the server could be spoken to. */
const deleteObjects = (run: Run, removals: ReadonlyArray<Removal>) =>
  Effect.gen(function* () {
    if (removals.length === 0) return true
    const { bucket, tally } = run
    const byKey = new Map(removals.map((removal) => [keyFor(run, removal), removal]))
    const outcome = yield* bucket.site.bucket.objects
      .deleteMany([...byKey.keys()])
      .pipe(Effect.catch((error) => Effect.succeed(error)))
    if ("_tag" in outcome) {
      removals.forEach((removal) => Sweep.countFailed(tally, removal))
      countError(tally, outcome)
    } else {
      for (const { error, key } of outcome.failed) {
        const removal = byKey.get(key)
        byKey.delete(key)
        if (removal !== undefined) Sweep.countFailed(tally, removal, error)
      }
      for (const removal of byKey.values()) Sweep.countRemoved(tally, removal, removal.sizeBytes)
      yield* forgetAfterwards([...byKey.values()])
    }
    if (isOpen(outcome)) yield* Effect.sleep(settlePause)
    return !("_tag" in outcome)
  })

/** Answers whether the server could be spoken to. */
const removeBatch = (run: Run, batch: ReadonlyArray<Removal>) =>
  Effect.gen(function* () {
    const rules = yield* GcRules
    const { bucket, tally } = run
    const { collecting, guards } = bucket.site
    if (collecting !== undefined) {
      yield* rules.replacesGeneration ? collecting.beginsRemoving : collecting.check
    }
    const digests = batch.map(({ digest }) => digest)
    const chosen: Array<Removal> = []
    return yield* guards
      .guardFree(digests, (free) =>
        Effect.gen(function* () {
          const isFree = new Set(free)
          for (const removal of batch) {
            if (!isFree.has(removal.digest)) Sweep.countRenewed(tally, removal, removal.sizeBytes)
            else if (yield* forget(run, removal)) chosen.push(removal)
          }
          return rules.holdsGuardsWhileDeleting ? yield* deleteObjects(run, chosen) : undefined
        })
      )
      .pipe(
        Effect.flatMap((done) => (done === undefined ? deleteObjects(run, chosen) : Effect.succeed(done)))
      )
  })

const giveUp = ({ tally }: Run, rest: ReadonlyArray<Removal>): void => {
  rest.forEach((removal) => Sweep.countFailed(tally, removal))
  if (rest.length === 0) return
  tally.errors.push(`the server fails; ${rest.length} objects were left as they are`)
}

const removeObjects = (run: Run, progress: (done: number) => void) =>
  Effect.gen(function* () {
    const { removals } = run.plan.listing
    const batchSize = run.bucket.site.bucket.deleteBatchSize
    let failures = 0
    for (let from = 0; from < removals.count; from += batchSize) {
      if (failures === failuresMax) return giveUp(run, removals.range(from, removals.count))
      const batch = removals.range(from, from + batchSize)
      failures = (yield* removeBatch(run, batch)) ? 0 : failures + 1
      progress(from + batch.length)
    }
  })

/** Files of the folder that have no object, as in any other store. */
const removeLocals = ({ bucket, plan, tally }: Run) =>
  Effect.gen(function* () {
    for (let position = 0; position < bucket.locals.count; position++) {
      yield* Sweep.removeOne(bucket.locals.at(position), tally, plan.cutoffSeconds)
    }
  })

const mendAndDrop = ({ bucket, tally }: Run) =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    for (const row of bucket.mendable.rows()) {
      const isMended = yield* Effect.result(UntrueFiles.mend(layout, bucket.site, row))
      if (isMended._tag === "Failure") countError(tally, isMended.failure)
      else if (isMended.success) {
        tally.mended.chunks += 1
        tally.mended.bytes += row.sizeBytes
      }
    }
    const drop = (row: FileRow) =>
      Effect.match(UntrueFiles.drop(layout, bucket.site, row), {
        onFailure: (error) => countError(tally, error),
        onSuccess: (isDropped) => void (tally.untrue += isDropped ? 1 : 0)
      })
    yield* Effect.forEach(bucket.untrue.rows(), drop, { concurrency: dropsAtOnce, discard: true })
  })

/** What was uploaded and is gone; a record too many or too few does no harm. */
const forgetRecords = ({ plan, tally }: Run) =>
  Effect.gen(function* () {
    const { records } = yield* Datastore
    if (records === undefined || tally.removed.chunks === 0) return
    yield* records
      .forget(removedDigests(plan.listing.removals))
      .pipe(Effect.catch((error) => Effect.sync(() => countError(tally, error))))
  })

function* removedDigests(removals: Removals): IterableIterator<Digest> {
  for (let position = 0; position < removals.count; position++) {
    const { digest, kind } = removals.at(position)
    if (kind === "chunk") yield digest
  }
}

export const run = (
  plan: GcPlan,
  bucket: BucketPlan
): Effect.Effect<Sweep.SweepOutcome, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const current: Run = { plan, bucket, tally: Sweep.makeTally() }
    const { tally } = current
    const progress = yield* Sweep.reporter(plan, tally)
    progress("started", 0)
    yield* mendAndDrop(current)
    yield* removeObjects(current, (done) => progress("running", done))
    yield* removeLocals(current)
    yield* forgetRecords(current)
    progress("ended", plan.listing.removals.count)
    return yield* Sweep.finish(plan, tally)
  })
