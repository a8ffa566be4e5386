/**
 * Reuse: what a walk needs to take contents over from the previous backup: the comparison, the plan, and the entries
 * that wait for the plan's decision.
 *
 * While a run of unchanged files is open, nothing after it can be written, because where payloads stand is not known
 * yet. So entries queue up, without their files being open, until the run ends or `entryLimit` of them wait. Then its
 * chunks are injected first, or not at all, and the queue is written.
 */
import type { Effect } from "effect/Effect"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { Encoder } from "../../format/pxar/Encoder.ts"
import type { FileMetadata } from "../../model/FileMetadata.ts"
import type { ChunkRange } from "../ArchiveWriter.ts"
import type { PreviousArchive } from "../PreviousArchive.ts"
import { EntryQueue, type QueuedEntry } from "./EntryQueue.ts"
import { ReuseLookup } from "./ReuseLookup.ts"
import { type ChunkSpan, type PayloadRange, ReusePlan } from "./ReusePlan.ts"

export interface ReuseOptions {
  readonly previous: PreviousArchive
  /** How many entries may wait for a decision. */
  readonly entryLimit: number
}

export class Reuse {
  readonly #index: ChunkIndex
  readonly #entryLimit: number
  readonly #lookup: ReuseLookup
  readonly #plan: ReusePlan
  readonly #queue = new EntryQueue()
  #due: ChunkSpan | undefined

  /** `warn` takes what concerns the previous archive as such. */
  constructor({ entryLimit, previous }: ReuseOptions, warn: (message: string) => void) {
    this.#index = previous.payload
    this.#entryLimit = entryLimit
    this.#lookup = new ReuseLookup(previous, warn)
    this.#plan = new ReusePlan(previous.payload)
  }

  /** Whether what is written now has to wait in the queue. */
  get isHolding(): boolean {
    return this.#plan.isOpen
  }

  /** Whether the walk stands until `supply` has run. */
  get isWaiting(): boolean {
    return this.#lookup.isWaiting
  }

  /** Whether the walk stands until `takeInjection` has been called. */
  get isInjecting(): boolean {
    return this.#due !== undefined
  }

  get supply(): Effect<void> {
    return this.#lookup.supply
  }

  /** Looks for a child of the directory that the walk is in; false when `supply` has to run first. */
  seek(name: Uint8Array): boolean {
    return this.#lookup.seek(name)
  }

  unchanged(metadata: FileMetadata, sizeBytes: number): PayloadRange | undefined {
    return this.#lookup.unchanged(metadata, sizeBytes)
  }

  enter(): void {
    this.#lookup.enter()
  }

  leave(): void {
    this.#lookup.leave()
  }

  /** Queues an entry behind the open run. */
  hold(entry: QueuedEntry): void {
    this.#queue.add(entry)
    if (this.#queue.length >= this.#entryLimit) this.#settle(false)
  }

  /** Ends the open run, decides on it, and has `entry` written when all that waits has been written. */
  conclude(entry: QueuedEntry): void {
    this.#queue.add(entry)
    this.#settle(true)
  }

  /**
   * Takes an unchanged content into the plan. As soon as it is decided, `write` is told where it stands in the new
   * payload stream; undefined says that it is to be read.
   */
  addContent(
    path: Uint8Array,
    range: PayloadRange,
    write: (payloadOffset: number | undefined) => void
  ): void {
    const writeDecided = (): void => write(this.#plan.placeOf(range))
    const answer = this.#plan.add(range)
    if (answer === "placed") writeDecided()
    else if (answer === "waiting") this.hold({ path, write: writeDecided })
    else this.conclude({ path, write: () => this.addContent(path, range, write) })
  }

  /** The next entry to write before the walk goes on. */
  takeQueued(): QueuedEntry | undefined {
    return this.#queue.take()
  }

  /** Another content goes into the payload stream. */
  interrupt(): void {
    this.#plan.interrupt()
  }

  /** Chunks that come next in the payload stream, which must have been drained. */
  takeInjection(encoder: Encoder): ChunkRange | undefined {
    const due = this.#due
    if (due === undefined) return undefined
    this.#due = undefined
    this.#plan.place(due, encoder.payloadPosition)
    encoder.advancePayload(this.#index.end(due.last) - this.#index.start(due.first))
    return { index: this.#index, ...due }
  }

  #settle(isComplete: boolean): void {
    this.#due = this.#plan.settle(isComplete)
    this.#queue.release()
  }
}
