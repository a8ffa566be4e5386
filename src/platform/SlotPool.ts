/**
 * A few large buffers in shared memory that chunks pass through: filled on one thread, read by another, then
 * used again. Their number bounds both the memory of a job and how far it runs ahead.
 *
 * A slot belongs to whoever acquired it until it is released; slots are handed out first come, first served.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as DataBlob from "../format/DataBlob.ts"
import * as BulkFile from "./BulkFile.ts"

export interface Slot {
  /** Offset of the slot's content in the pool's `bytes`. */
  readonly offset: number
  readonly sizeBytes: number
}

export interface SlotPool {
  /** The whole memory, all slots included. */
  readonly bytes: Uint8Array
  readonly slotCount: number
  readonly acquire: Effect.Effect<Slot>
  readonly release: (slot: Slot) => Effect.Effect<void>
  readonly view: (slot: Slot, lengthBytes: number) => Uint8Array
}

/**
 * Room before and behind the content of a slot, for whoever stores it: a blob's header goes right before the
 * content, so that both are written as they lie, from an aligned place on (see `BulkFile`).
 */
export const marginBeforeBytes = DataBlob.headerSize("plain")
export const marginBehindBytes = BulkFile.alignmentBytes

/** Lays `slotCount` slots of `slotBytes`, margins included, into `bytes`, from `start` on. */
export const make = (
  bytes: Uint8Array,
  start: number,
  slotBytes: number,
  slotCount: number
): Effect.Effect<SlotPool> =>
  Effect.gen(function* () {
    const free = yield* Queue.unbounded<Slot>()
    for (let index = 0; index < slotCount; index++) {
      const sizeBytes = slotBytes - marginBeforeBytes - marginBehindBytes
      yield* Queue.offer(free, { offset: start + index * slotBytes + marginBeforeBytes, sizeBytes })
    }
    return {
      bytes,
      slotCount,
      acquire: Queue.take(free),
      release: (slot) => Effect.asVoid(Queue.offer(free, slot)),
      view: (slot, lengthBytes) => bytes.subarray(slot.offset, slot.offset + lengthBytes)
    }
  })
