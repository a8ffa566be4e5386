/**
 * ReadAhead: reads whole chunk files for a worker thread while that works on the ones before. What a thread calls
 * itself is synchronous, and its processor would stand still for as long as the disk takes; here threads of the
 * system's pool wait for the disk.
 *
 * Files lie one behind the other in one piece of memory that is used round and round: so memory is bounded, whatever
 * their sizes are, and several small ones or a large one are on their way. One that is larger than all of it gets
 * memory of its own when everything before it is done.
 *
 * Invariants: users have their turn in the order in which they asked, one at a time; what was read stays as it is until
 * its user returns, and belongs to nobody afterwards.
 */
import * as BulkFile from "./BulkFile.ts"

/** Answers the file's content, undefined when it is larger than allowed; throws what went wrong with reading it. */
export type Content = () => Uint8Array | undefined

export interface Request {
  readonly path: string
  readonly maxSizeBytes: number
  /** Must not throw. */
  readonly use: (content: Content) => void
}

interface Reading {
  readonly use: (content: Content) => void
  /** Of its memory in the ring: none for a file that is not read, or has memory of its own. */
  readonly start: number
  readonly end: number
  /** Set when there is no more to come. */
  content: Content | undefined
}

interface Opened {
  readonly request: Request
  readonly file: BulkFile.Opened
}

/** Four chunks of the usual size, or the largest of a directory's. */
export const ringBytes = 20 * 1024 * 1024

const failing = (error: unknown): Content => {
  return () => {
    throw error
  }
}

const tooLarge: Content = () => undefined

export class ReadAhead {
  readonly #requests: Array<Request> = []
  /** Open, and without memory yet. */
  #next: Opened | undefined
  /** In the order in which they were asked for. */
  readonly #readings: Array<Reading> = []
  #ring: Uint8Array | undefined
  #hasTurn = false

  read(request: Request): void {
    this.#requests.push(request)
    this.#begin()
  }

  /** Begins as much as there is room for. */
  #begin(): void {
    for (;;) {
      this.#next ??= this.#open()
      if (this.#next === undefined) return
      const { file, request } = this.#next
      const memory = this.#room(BulkFile.rounded(file.sizeBytes))
      if (memory === undefined) return
      this.#next = undefined
      const reading = this.#add(request, memory.start, memory.start + memory.lengthBytes)
      BulkFile.readOpened(request.path, file, memory.bytes, (content) => this.#end(reading, content))
    }
  }

  /** The next file that is to be read. Those that cannot be have their turn like any other. */
  #open(): Opened | undefined {
    for (let request = this.#requests.shift(); request !== undefined; request = this.#requests.shift()) {
      try {
        const file = BulkFile.openWhole(request.path, request.maxSizeBytes)
        if (file !== undefined) return { request, file }
        this.#end(this.#add(request, 0, 0), tooLarge)
      } catch (error) {
        this.#end(this.#add(request, 0, 0), failing(error))
      }
    }
    return undefined
  }

  #add({ use }: Request, start: number, end: number): Reading {
    const reading: Reading = { use, start, end, content: undefined }
    this.#readings.push(reading)
    return reading
  }

  #room(lengthBytes: number) {
    if (lengthBytes > ringBytes) {
      return this.#readings.length > 0
        ? undefined
        : { bytes: BulkFile.alignedMemory(lengthBytes), start: 0, lengthBytes: 0 }
    }
    const start = this.#placeFor(lengthBytes)
    if (start === undefined) return undefined
    this.#ring ??= BulkFile.alignedMemory(ringBytes)
    return { bytes: this.#ring.subarray(start, start + lengthBytes), start, lengthBytes }
  }

  /** Behind the last one, or from the beginning again; never up to the first: the ring would look empty then. */
  #placeFor(lengthBytes: number): number | undefined {
    const inRing = this.#readings.filter(({ end, start }) => end > start)
    const [first, last] = [inRing[0], inRing.at(-1)]
    if (first === undefined || last === undefined) return 0
    const isWrapped = last.start < first.start
    if (isWrapped) return last.end + lengthBytes < first.start ? last.end : undefined
    if (last.end + lengthBytes <= ringBytes) return last.end
    return lengthBytes < first.start ? 0 : undefined
  }

  #end(reading: Reading, content: Content): void {
    reading.content = content
    this.#takeTurns()
  }

  /** Other events of the thread come in between: new requests, and the ends of readings. */
  #takeTurns(): void {
    if (this.#hasTurn || this.#readings[0]?.content === undefined) return
    this.#hasTurn = true
    setImmediate(() => {
      const [reading] = this.#readings
      if (reading?.content !== undefined) reading.use(reading.content)
      this.#readings.shift()
      this.#begin()
      this.#hasTurn = false
      this.#takeTurns()
    })
  }
}
