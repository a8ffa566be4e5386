/**
 * syncCasting: syncs by chance. A number draws a sync with options of its own, perhaps a second one, and one to three
 * others who work on either end at once; what they do is left to the schedule. When all have ended, one more sync by
 * itself ends with what the options promise.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import type { SyncOptions } from "../../../../src/sync/SyncOptions.ts"
import { run, type Scenario } from "../../../../src/testing.ts"
import { randomFrom } from "../../../../src/testing/Choosers.ts"
import {
  backUp,
  collect,
  forget,
  group,
  insertLoose,
  prune,
  snapshotAt,
  verify,
  yielding
} from "../actors.ts"
import type { Mutation } from "../Mutation.ts"
import { noCalls } from "../points.ts"
import { together } from "../stage.ts"
import { startMillis, type StoreEffect, timeBefore } from "../World.ts"
import { endWith, protect } from "./syncActors.ts"
import type { SyncInput } from "./SyncBetween.ts"
import { syncStage } from "./syncStage.ts"
import { SyncWorld } from "./SyncWorld.ts"

const other = BackupGroup.make("host", "b")
const contents = ["base", "old", "new", "newer", "loose"]
const snapshots = [
  { number: 0, contents: ["base", "old"] },
  { number: 1, contents: ["base", "new"] },
  { number: 0, contents: ["old"], group: other }
]

const disks = {
  source: endWith({ contents, snapshots }),
  target: endWith({
    contents,
    snapshots: [{ number: -1, contents: ["base"] }, ...snapshots.slice(0, 1)],
    more: insertLoose("loose")
  })
}

const [oldest, first, second] = [-1, 0, 1].map((number) => snapshotAt(timeBefore(number)))
const vanished = oldest ?? snapshotAt(timeBefore(-1))
const copied = first ?? vanished
const newest = second ?? vanished

type Draw = (count: number) => number

interface Part {
  readonly name: string
  readonly end: "source" | "target"
  readonly work: (world: SyncWorld) => StoreEffect<unknown, { readonly _tag: string } & Error>
}

const later = startMillis / 1000

/** Somebody may have protected it. */
const unlessProtected = <E extends { readonly _tag: string; readonly reason?: string }>(
  work: StoreEffect<unknown, E>
) =>
  Effect.catchIf(
    work,
    ({ reason }) => reason === "Protected",
    () => Effect.void
  )

/** What is done on the one end or the other, by anybody. */
const kinds: ReadonlyArray<(draw: Draw) => Part> = [
  (draw) => {
    const of = draw(2) === 0 ? group : other
    const work = ({ source }: SyncWorld) =>
      backUp(source, { time: later, contents: ["new", "newer"], group: of })
    return { name: `backup of ${of.id}`, end: "source", work }
  },
  () => ({ name: "forget the newest", end: "source", work: (world) => world.forgetAtSource(newest) }),
  () => ({ name: "gc", end: "source", work: () => collect() }),
  () => ({ name: "verify", end: "source", work: () => verify() }),
  (draw) => {
    const one = draw(2) === 0 ? copied : vanished
    return {
      name: `forget ${one.directory}`,
      end: "target",
      work: ({ target }) => unlessProtected(forget(target, one))
    }
  },
  () => ({ name: "gc", end: "target", work: () => collect() }),
  (draw) => ({ name: "gc", end: "target", work: () => collect({ mark: draw(2) === 0 ? "atime" : "set" }) }),
  () => ({ name: "prune", end: "target", work: ({ target }) => prune(target) }),
  () => ({ name: "verify", end: "target", work: () => verify() }),
  () => ({ name: "protect", end: "target", work: ({ target }) => protect(target, vanished) })
]

interface Cast {
  readonly options: Partial<SyncOptions>
  readonly isTwice: boolean
  readonly parts: ReadonlyArray<Part>
}

const drawCast = (seed: number): Cast => {
  const random = randomFrom(seed)
  const draw: Draw = (count) => Math.floor(random() * count)
  const removeVanished = draw(2) === 0
  const options = {
    removeVanished,
    resyncCorrupt: draw(2) === 0,
    parallelGroups: 1 + draw(2),
    pipelining: draw(2) === 0 ? "on" : "off"
  } as const
  const isTwice = draw(4) === 0
  const count = 1 + draw(isTwice ? 2 : 3)
  const parts = Array.from({ length: count }, () => (kinds[draw(kinds.length)] ?? kinds[0])?.(draw))
  return { options, isTwice, parts: parts.filter((part) => part !== undefined) }
}

/** What the number stands for, in words. */
export const describeSyncCast = (seed: number): string => {
  const { isTwice, options, parts } = drawCast(seed)
  const others = parts.map(({ end, name }) => `${name} (${end})`).join(" | ")
  return `${isTwice ? "two syncs" : "a sync"} ${JSON.stringify(options)} | ${others}`
}

/** One more sync, when all have ended. */
const finalSync = (ended: SyncWorld, input: SyncInput, removes: boolean): string | undefined => {
  const ends = { source: ended.source.disk.fork(), target: ended.target.disk.fork() }
  const world = new SyncWorld(ends, { mutation: {}, removes, points: { source: noCalls, target: noCalls } })
  const hourLater = startMillis + 3_600_000
  const { outcome } = run({ program: world.sync("last", input) }, {}, { startMillis: hourLater })
  const wrong = outcome._tag === "Done" ? world.complaint() : `it ends with ${outcome._tag}`
  return wrong === undefined ? stillLacking(world, ended) : `the last sync: ${wrong}`
}

/** What nobody has removed from the target is there, whatever verifications said of it on either end. */
const stillLacking = ({ source, target }: SyncWorld, ended: SyncWorld): string | undefined => {
  const missing = source.view.snapshots.find(({ digests, isFinished, path }) => {
    if (!isFinished || ended.target.givenUp.has(path)) return false
    const copy = target.view.snapshots.find((one) => one.isFinished && one.path === path)
    return copy === undefined || copy.digests.join(" ") !== digests.join(" ")
  })
  return missing === undefined ? undefined : `the target lacks ${missing.path}`
}

/** The scenario of a number. */
export const randomSyncScenario = (seed: number, mutation: Mutation): (() => Scenario) => {
  const { isTwice, options, parts } = drawCast(seed)
  const removes = options.removeVanished === true
  const verdicts = new Map<string, string | undefined>()
  return syncStage({
    disks,
    removes,
    program: (world) =>
      together(
        world.sync("sync", { options }),
        ...(isTwice ? [world.sync("second", { options })] : []),
        ...parts.map(({ end, work }, number) =>
          world[end].process(`${end} ${number + 1}`)(Effect.scoped(yielding(work(world))))
        )
      ),
    check: (world) => {
      const key = world.fingerprint
      if (!verdicts.has(key)) verdicts.set(key, finalSync(world, { options }, removes))
      return verdicts.get(key)
    }
  })(mutation)
}
