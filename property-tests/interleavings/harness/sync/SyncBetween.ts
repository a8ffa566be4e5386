/**
 * SyncBetween: the syncs that copy from one small datastore on a disk into another store of the laboratory, and what is
 * known of them. What the target is, a folder or a bucket with its cache folder, whoever extends this says.
 *
 * A sync is one process that has both ends open. What the target is to keep is known from the beginning: all that is
 * finished there, and from then on every snapshot that a sync tells is done. Only what somebody forgets there, and,
 * where a sync removes what vanished, what the source does not have, may go.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../../../../src/datastore/Datastore.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import * as Snapshot from "../../../../src/model/Snapshot.ts"
import * as DatastoreSource from "../../../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../../../src/sync/DatastoreTarget.ts"
import { type SyncEvent, SyncReporter } from "../../../../src/sync/SyncEvent.ts"
import * as SyncJob from "../../../../src/sync/SyncJob.ts"
import type { SyncOptions } from "../../../../src/sync/SyncOptions.ts"
import type { SyncReason } from "../../../../src/sync/SyncError.ts"
import type { SyncSource } from "../../../../src/sync/SyncSource.ts"
import type { SyncTarget, TargetSnapshot } from "../../../../src/sync/SyncTarget.ts"
import type { SyncSummary } from "../../../../src/sync/SyncSummary.ts"
import { inProcess, Simulation } from "../../../../src/testing.ts"
import { forget, owner, type Witness } from "../actors.ts"
import { complaint, type Expectations } from "../Invariants.ts"
import { type Mutation, mutationFor } from "../Mutation.ts"
import type { SnapshotView } from "../StoreView.ts"
import type { World } from "../World.ts"

/** What a sync copies into. */
export type TargetEnd = Witness & Pick<World, "inside" | "view">

export interface SyncBetweenOptions {
  readonly mutation: Mutation
  /** Whether syncs remove what vanished, so that it may go. */
  readonly removes?: boolean
  readonly excuses?: Expectations["excuses"]
}

export interface SyncInput {
  readonly options?: Partial<SyncOptions>
  /** Stands between the sync and its source. */
  readonly around?: (source: SyncSource["Service"]) => SyncSource["Service"]
  /** Reasons for which groups may fail here. Default: that somebody else works on them. */
  readonly mayFail?: ReadonlyArray<SyncReason>
}

type Target = SyncTarget["Service"]
type Finish = TargetSnapshot["finish"]

/** Others may be in the way. */
const inTheWay: ReadonlyArray<SyncReason> = ["Busy"]

/** By what a snapshot is known on both ends; namespaces may differ. */
const nameOf = ({ path }: SnapshotView): string => path.replace(/^(?:ns\/[^/]+\/)*/, "")

/** One chunk at a time, so that a schedule is about stores and not about fibers. */
const plainly: SyncOptions = { direction: "pull", owner, pipelining: "off" }

export class SyncBetween<T extends TargetEnd> {
  readonly source: World
  readonly target: T
  readonly #options: SyncBetweenOptions
  /** Chunks of every snapshot that the source ever had. */
  readonly #known = new Map<string, ReadonlyArray<string>>()

  constructor(source: World, target: T, options: SyncBetweenOptions) {
    this.#options = options
    this.source = source
    this.target = target
    this.learn()
    const offered = new Set(source.view.snapshots.map(nameOf))
    for (const snapshot of target.view.snapshots) {
      const { digests, isFinished } = snapshot
      const name = nameOf(snapshot)
      if (isFinished) target.acknowledged.push({ snapshot: name, digests })
      if (options.removes === true && !offered.has(name)) target.givenUp.add(name)
    }
  }

  /** Remembers what the source has now. */
  learn(): void {
    for (const snapshot of this.source.view.snapshots) {
      if (snapshot.isFinished) this.#known.set(nameOf(snapshot), snapshot.digests)
    }
  }

  readonly #report = (event: SyncEvent): void => {
    if (event.type !== "snapshot" || event.state !== "done" || event.action === "skip") return
    const snapshot = Snapshot.format(event.snapshot)
    this.learn()
    const digests = this.#known.get(snapshot)
    if (digests === undefined) this.target.fault = `${snapshot} was copied, and the source never had it`
    else this.target.acknowledged.push({ snapshot, digests })
  }

  /** A sync as a process; what it has come to is judged, and then nobody's business. */
  readonly sync = (name: string, input: SyncInput = {}): Effect.Effect<unknown, unknown, Simulation> =>
    this.both(name, this.#run(name, input))

  #run(name: string, { around = (source) => source, mayFail = inTheWay, options = {} }: SyncInput) {
    const { source: changed, target: changedTarget } = mutationFor(this.#options.mutation, name)
    return (source: SyncSource["Service"], target: Target) => {
      const from = around(changed?.(source) ?? source)
      return SyncJob.make(from, changedTarget?.(target) ?? target)
        .run({ ...plainly, ...options })
        .pipe(
          Effect.provideService(SyncReporter, this.#report),
          Effect.flatMap((summary) => Effect.sync(() => this.#judge(summary, mayFail)))
        )
    }
  }

  #judge({ groups, problems }: SyncSummary, mayFail: ReadonlyArray<SyncReason>): void {
    const failed = groups.flatMap(({ error, state }) =>
      state === "failed" && error !== undefined ? [error] : []
    )
    const wrong = [...failed, ...problems].find(({ reason }) => !mayFail.includes(reason))
    if (wrong !== undefined) this.target.fault = `the sync fails: ${wrong.message}`
  }

  /** One process with both ends open. Two stores on two disks are not the same, though their paths are. */
  both<E>(
    name: string,
    work: (source: SyncSource["Service"], target: Target) => Effect.Effect<unknown, E>
  ): Effect.Effect<unknown, unknown, Simulation> {
    const { source, target } = this
    const witnessed = (to: Target, simulation: Simulation["Service"]) => this.#witnessed(to, simulation)
    return source
      .inside(name)(
        Effect.gen(function* () {
          const from = { ...DatastoreSource.make(yield* Datastore), identities: ["source"] }
          yield* target.inside(name)(
            Effect.gen(function* () {
              const to = yield* DatastoreTarget.make(yield* Datastore)
              const simulation = yield* Simulation
              yield* work(from, witnessed({ ...to, identities: ["target"] }, simulation))
            })
          )
        })
      )
      .pipe(inProcess(name))
  }

  /**
   * One that ends well although a chunk was not there when it began to finish, and is not there now, has not looked.
   */
  #witnessed(target: Target, simulation: Simulation["Service"]): Target {
    const absentAmong = (digests: ReadonlyArray<string>) =>
      Effect.provideService(this.target.absentAmong(digests), Simulation, simulation)
    const finishing = (snapshot: Snapshot.Snapshot, finish: Finish): Finish => {
      const name = Snapshot.format(snapshot)
      return (manifest) =>
        Effect.gen({ self: this }, function* () {
          const absent = yield* absentAmong(this.#known.get(name) ?? [])
          yield* finish(manifest)
          const [missed] = yield* absentAmong(absent)
          if (missed !== undefined)
            this.target.fault = `I2: ${name} was finished without chunk ${missed.slice(0, 8)}`
        })
    }
    const beginWriting = Effect.map(target.beginWriting, (writer) => ({
      ...writer,
      openSnapshot: (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
        Effect.map(writer.openSnapshot(namespace, snapshot), (opened) => ({
          ...opened,
          finish: finishing(snapshot, opened.finish)
        }))
    }))
    return { ...target, beginWriting }
  }

  /** Removes a snapshot of the source: the target may keep it, or not, as the options of a sync say. */
  forgetAtSource(snapshot: Snapshot.Snapshot, namespace = Namespace.root) {
    if (this.#options.removes === true) this.target.givenUp.add(Snapshot.format(snapshot))
    return forget(this.source, snapshot, namespace)
  }

  /** What is wrong on either end; undefined when everything holds. */
  complaint(): string | undefined {
    for (const [title, world] of [
      ["source", this.source],
      ["target", this.target]
    ] as const) {
      const found = complaint(world.view, this.expectationsOf(world)) ?? world.fault
      if (found !== undefined) return `${title}: ${found}`
    }
    return undefined
  }

  expectationsOf({ acknowledged, givenUp }: Pick<TargetEnd, "acknowledged" | "givenUp">): Expectations {
    const { excuses } = this.#options
    return { acknowledged, givenUp, ...(excuses === undefined ? {} : { excuses }) }
  }

  /** The snapshots that the source ever had. */
  get knownNames(): ReadonlyArray<string> {
    return [...this.#known.keys()].toSorted()
  }
}
