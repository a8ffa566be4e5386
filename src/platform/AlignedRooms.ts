/**
 * AlignedRooms: aligned memory for a worker thread's chunks on their way to files. There are so many rooms and no more,
 * so memory is bounded, whatever is asked for; who finds all taken waits its turn.
 *
 * Invariant: a room belongs to one piece of work until that has ended.
 */
import * as BulkFile from "./BulkFile.ts"

/** A chunk of the usual size, and its header. */
const roomMinBytes = 4.5 * 1024 * 1024

/** Aligned memory, as large as the largest that was asked for. */
export class Room {
  /** Whether it was asked for memory since it was given out. */
  isTaken = false
  #memory: Uint8Array = new Uint8Array(0)

  readonly of = (sizeBytes: number): Uint8Array => {
    this.isTaken = true
    if (this.#memory.length < sizeBytes) {
      this.#memory = BulkFile.alignedMemory(Math.max(sizeBytes, roomMinBytes))
    }
    return this.#memory
  }
}

export class AlignedRooms {
  readonly #free: Array<Room>
  readonly #waiting: Array<(room: Room) => void> = []

  constructor(count: number) {
    this.#free = Array.from({ length: count }, () => new Room())
  }

  /** Runs work that may take a room. */
  async within<A>(work: (room: Room) => Promise<A>): Promise<A> {
    const room = this.#free.pop() ?? (await new Promise<Room>((resolve) => this.#waiting.push(resolve)))
    room.isTaken = false
    // Whoever needs the room takes it before the first wait.
    const working = work(room)
    if (room.isTaken) return working.finally(() => this.#giveBack(room))
    this.#giveBack(room)
    return working
  }

  #giveBack(room: Room): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(room)
    else next(room)
  }
}
