/**
 * KeptChunks: decoded chunks in memory: what is here, where the next one goes, and what goes away for it.
 *
 * Three kinds of chunks lie here. Young ones were used once; old ones again and again, and they hold half of the memory
 * at most; held ones were fetched ahead for a reader who has not come by yet, and are nobody else's to throw away. So
 * whoever reads a large file from one end to the other pushes out what others have read that way, and not what is
 * asked for all the time. The names of chunks that had to go are remembered for a while: one that comes back has been
 * used before.
 *
 * They lie in one stretch of shared memory that is used again and again (`ChunkRoom`), for fresh memory costs twice
 * what is done with it: pages to be filled with zeros, and a garbage collector that is called for each 64 MiB of it. A
 * chunk for which there is room but no gap gets memory of its own.
 *
 * Everything in here is synchronous. Invariants: chunks here and on their way never take more than `maxBytes`; a chunk
 * that is gone has no `data` any more, and what it lay in may hold another one at once: so nobody keeps `data`, or a
 * view of it, beyond the synchronous call in which he found it.
 */
import { ChunkRoom, wholePages } from "../../platform/ChunkRoom.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { Digest } from "../../model/Digest.ts"

export interface ChunkName {
  readonly digest: Digest
  /** Who has another key may find another thing. */
  readonly crypt: CryptConfig | undefined
}

export interface KeptChunk {
  readonly name: ChunkName
  /** What it takes. */
  readonly memoryBytes: number
  /** Not to be changed, and not to be kept. Undefined when the chunk is gone. */
  data: Uint8Array | undefined
  /** Its part of the room, unless it has memory of its own. */
  readonly part: Uint8Array | undefined
  /** How often it was asked for, as far as it matters. */
  uses: number
  holders: number
}

const fingerprintOf = ({ crypt }: ChunkName): string => crypt?.fingerprintText ?? ""

export const textOf = (name: ChunkName): string => `${name.digest} ${fingerprintOf(name)}`

/** From this many uses on a chunk is old. */
const usesOfOld = 2

/** Room for a chunk that is on its way. */
export interface Reservation {
  readonly memoryBytes: number
  /** Where it is to be put; undefined when there is no gap for it. */
  readonly part: Uint8Array | undefined
  /** Whether the chunk has come, or will not. */
  isOver: boolean
}

/** Chunks have many sizes, and leave gaps that fit none: with so much more place than they may take, they find one. */
const spaciousness = 1.125

interface Held {
  readonly sizeBytes: number
  holders: number
}

/** What a chunk of that size takes. */
export const memoryBytes = (sizeBytes: number): number => wholePages(sizeBytes)

export class KeptChunks {
  readonly maxBytes: number
  readonly #oldBytesMax: number
  readonly #room: ChunkRoom
  /** By the key's fingerprint, then by digest: the two are never put together for a look. */
  readonly #chunks = new Map<string, Map<Digest, KeptChunk>>()
  /** Least recently used first. */
  readonly #young = new Set<KeptChunk>()
  readonly #old = new Set<KeptChunk>()
  /** What is held, here or on its way. */
  readonly #held = new Map<string, Held>()
  /** Chunks that have gone, and what they took; as many as there would be room for. */
  readonly #gone = new Map<string, number>()
  #latest: KeptChunk | undefined
  #goneBytes = 0
  #keptBytes = 0
  #youngBytes = 0
  #oldBytes = 0
  #reservedBytes = 0
  #heldBytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = wholePages(maxBytes)
    this.#oldBytesMax = Math.floor(this.maxBytes / 2)
    this.#room = new ChunkRoom(this.maxBytes * spaciousness)
  }

  /** Of what is here. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Of what is on its way. */
  get underWayBytes(): number {
    return this.#reservedBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  find(name: ChunkName): KeptChunk | undefined {
    return this.#chunks.get(fingerprintOf(name))?.get(name.digest)
  }

  /** Somebody uses it; `isNewUse` unless he does what he did a moment ago. */
  touch(chunk: KeptChunk, isNewUse: boolean): void {
    if (isNewUse) chunk.uses += 1
    if (chunk.data === undefined || chunk.holders > 0) return
    // The second use makes it old; otherwise it is in its place already.
    if (this.#latest === chunk && chunk.uses !== usesOfOld) return
    this.#remove(chunk)
    this.#insert(chunk)
  }

  /** Whether there may be room, once everything has gone that nobody holds. */
  fits(sizeBytes: number): boolean {
    const lockedBytes = this.#keptBytes - this.#youngBytes - this.#oldBytes
    return lockedBytes + this.#reservedBytes + memoryBytes(sizeBytes) <= this.maxBytes
  }

  /** Makes room for a chunk that is on its way, the young go first; undefined when what may go is not enough. */
  reserve(sizeBytes: number): Reservation | undefined {
    if (!this.fits(sizeBytes)) return undefined
    this.#reservedBytes += memoryBytes(sizeBytes)
    for (const generation of [this.#young, this.#old]) {
      this.#dropUntil(generation, () => this.#keptBytes + this.#reservedBytes <= this.maxBytes)
    }
    let part = this.#room.take(sizeBytes)
    this.#dropUntil(this.#young, () => (part ??= this.#room.take(sizeBytes)) !== undefined)
    return { memoryBytes: memoryBytes(sizeBytes), part, isOver: false }
  }

  /** The chunk will not come; of one that has come this changes nothing. */
  release(reservation: Reservation): void {
    if (reservation.isOver) return
    this.#end(reservation)
    if (reservation.part !== undefined) this.#room.giveBack(reservation.part)
  }

  /** A chunk that has come, where there is room for it. */
  add(name: ChunkName, data: Uint8Array, reservation: Reservation): void {
    const known = this.find(name)
    if (known !== undefined) this.#drop(known)
    const text = textOf(name)
    const holders = this.#held.get(text)?.holders ?? 0
    const uses = this.#recover(text) ? usesOfOld - 1 : 0
    const isInPart = reservation.part?.buffer === data.buffer
    if (isInPart) this.#end(reservation)
    else this.release(reservation)
    const part = isInPart ? reservation.part : undefined
    const chunk: KeptChunk = { name, memoryBytes: memoryBytes(data.length), data, part, uses, holders }
    this.#shelf(name).set(name.digest, chunk)
    this.#keptBytes += chunk.memoryBytes
    if (holders === 0) this.#insert(chunk)
  }

  /** The chunk stays once it is here, until everybody who holds it lets go. */
  hold(name: ChunkName, sizeBytes: number): void {
    const text = textOf(name)
    const held = this.#held.get(text) ?? { sizeBytes, holders: 0 }
    held.holders += 1
    if (held.holders === 1) {
      this.#held.set(text, held)
      this.#heldBytes += sizeBytes
    }
    const chunk = this.find(name)
    if (chunk === undefined) return
    if (chunk.holders === 0) this.#remove(chunk)
    chunk.holders = held.holders
  }

  letGo(name: ChunkName): void {
    const text = textOf(name)
    const held = this.#held.get(text)
    if (held === undefined) throw new Error(`nobody holds chunk ${name.digest}`)
    held.holders -= 1
    if (held.holders === 0) {
      this.#held.delete(text)
      this.#heldBytes -= held.sizeBytes
    }
    const chunk = this.find(name)
    if (chunk === undefined) return
    chunk.holders = held.holders
    if (chunk.holders === 0) this.#insert(chunk)
  }

  #shelf(name: ChunkName): Map<Digest, KeptChunk> {
    const fingerprint = fingerprintOf(name)
    const known = this.#chunks.get(fingerprint)
    if (known !== undefined) return known
    const shelf = new Map<Digest, KeptChunk>()
    this.#chunks.set(fingerprint, shelf)
    return shelf
  }

  #insert(chunk: KeptChunk): void {
    this.#latest = chunk
    if (chunk.uses < usesOfOld) return this.#insertYoung(chunk)
    this.#old.add(chunk)
    this.#oldBytes += chunk.memoryBytes
    for (const oldest of this.#old) {
      if (this.#oldBytes <= this.#oldBytesMax) break
      this.#remove(oldest)
      oldest.uses = usesOfOld - 1
      this.#insertYoung(oldest)
    }
  }

  #insertYoung(chunk: KeptChunk): void {
    this.#young.add(chunk)
    this.#youngBytes += chunk.memoryBytes
  }

  #remove(chunk: KeptChunk): void {
    if (this.#latest === chunk) this.#latest = undefined
    if (this.#young.delete(chunk)) this.#youngBytes -= chunk.memoryBytes
    if (this.#old.delete(chunk)) this.#oldBytes -= chunk.memoryBytes
  }

  #end(reservation: Reservation): void {
    reservation.isOver = true
    this.#reservedBytes -= reservation.memoryBytes
  }

  /** Least recently used first. */
  #dropUntil(generation: ReadonlySet<KeptChunk>, isEnough: () => boolean): void {
    for (const chunk of generation) {
      if (isEnough()) return
      this.#drop(chunk)
      this.#remember(chunk)
    }
    isEnough()
  }

  #drop(chunk: KeptChunk): void {
    this.#remove(chunk)
    this.#keptBytes -= chunk.memoryBytes
    this.#shelf(chunk.name).delete(chunk.name.digest)
    chunk.data = undefined
    if (chunk.part !== undefined) this.#room.giveBack(chunk.part)
  }

  #remember(chunk: KeptChunk): void {
    this.#gone.set(textOf(chunk.name), chunk.memoryBytes)
    this.#goneBytes += chunk.memoryBytes
    for (const [oldest] of this.#gone) {
      if (this.#goneBytes <= this.maxBytes) return
      this.#recover(oldest)
    }
  }

  /** Whether it has gone not long ago. */
  #recover(text: string): boolean {
    const sizeBytes = this.#gone.get(text)
    if (sizeBytes === undefined) return false
    this.#goneBytes -= sizeBytes
    return this.#gone.delete(text)
  }
}
