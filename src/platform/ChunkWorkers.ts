/**
 * A pool of worker threads that work on chunks: hands a job to the thread with the least to do, and matches answers to
 * jobs. Threads start when there are jobs for them, or at once when asked, and end with the pool; an idle pool does not
 * keep a process alive. A program may start threads before it has loaded the rest of itself (`startEarly`): this file
 * imports nothing of ours for that.
 *
 * Data in shared memory crosses without a copy, and so does what was given away; any other bytes are copied once.
 */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import type { CopyRequest, Staged } from "./ChunkCodec.ts"
import type { Verdict } from "./chunkContent.ts"
import type { EncodedBlob, Loaded } from "./chunkTasks.ts"
import type { Digest } from "../model/Digest.ts"
import type { FilesReason } from "./Files.ts"

interface ExpectedContent {
  readonly digest: Digest
  readonly sizeBytes: number | undefined
}

interface Expected extends ExpectedContent {
  readonly path: string
}

interface BlobRequest extends ExpectedContent {
  readonly blob: Uint8Array
  /** The blob's memory is given away. */
  readonly consumes?: boolean
}

export type Task =
  | { readonly kind: "digest"; readonly request: { readonly data: Uint8Array } }
  | {
      readonly kind: "stage"
      readonly request: {
        readonly data: Uint8Array
        readonly temporaryPath: string
        readonly compress: boolean
        readonly sync: boolean
        readonly hasMargins?: boolean
      }
    }
  /** The target must lie in shared memory: what a thread writes elsewhere nobody sees. */
  | { readonly kind: "load"; readonly request: Expected & { readonly target?: Uint8Array } }
  | { readonly kind: "check"; readonly request: Expected }
  /** As for `load`, the room must lie in shared memory, and so must the target. */
  | {
      readonly kind: "encode"
      readonly request: { readonly data: Uint8Array; readonly compress: boolean; readonly room?: Uint8Array }
    }
  | { readonly kind: "decode"; readonly request: BlobRequest & { readonly target?: Uint8Array } }
  | { readonly kind: "judge"; readonly request: BlobRequest }
  | {
      readonly kind: "receive"
      readonly request: BlobRequest & { readonly temporaryPath: string; readonly sync: boolean }
    }
  | { readonly kind: "copy"; readonly request: CopyRequest }

export type Job = Task & { readonly id: number; readonly key: Uint8Array | undefined }

export type Result =
  | { readonly kind: "digested"; readonly value: Uint8Array }
  | { readonly kind: "staged"; readonly value: Staged }
  | { readonly kind: "loaded"; readonly value: Loaded }
  | { readonly kind: "checked"; readonly value: Verdict }
  | { readonly kind: "received"; readonly value: Verdict }
  | { readonly kind: "encoded"; readonly value: EncodedBlob }
  | {
      readonly kind: "failed"
      readonly operation: string
      readonly reason: FilesReason
      readonly code: string | undefined
      /** Set when the failure is no system error but a fault of the program. */
      readonly defect: string | undefined
    }

export interface Answer {
  readonly id: number
  readonly result: Result
}

interface Thread {
  readonly worker: Worker
  readonly waiting: Map<number, (result: Result) => void>
}

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./chunkWorker.ts" : "./chunkWorker.js",
  import.meta.url
)

interface Crossing {
  readonly sent: Task
  readonly transfer: Array<ArrayBuffer>
}

/** Bytes that are not shared are copied here and handed over: a message would copy all of the buffer around them. */
const crossing = (task: Task): Crossing => {
  switch (task.kind) {
    case "load":
    case "check":
    case "copy":
      return { sent: task, transfer: [] }
    case "decode":
    case "judge":
    case "receive":
      return handingOver(task.request.blob, task.request.consumes === true, (blob): Task =>
        withBlob(task, blob)
      )
    default:
      return handingOver(task.request.data, false, (data): Task => withData(task, data))
  }
}

const withData = (task: Extract<Task, { kind: "digest" | "stage" | "encode" }>, data: Uint8Array): Task => {
  switch (task.kind) {
    case "digest":
      return { kind: "digest", request: { data } }
    case "stage":
      return { kind: "stage", request: { ...task.request, data } }
    case "encode":
      return { kind: "encode", request: { ...task.request, data } }
  }
}

const withBlob = (task: Extract<Task, { kind: "decode" | "judge" | "receive" }>, blob: Uint8Array): Task => {
  switch (task.kind) {
    case "decode":
      return { kind: "decode", request: { ...task.request, blob } }
    case "judge":
      return { kind: "judge", request: { ...task.request, blob } }
    case "receive":
      return { kind: "receive", request: { ...task.request, blob } }
  }
}

/** What was given away and is all of its buffer goes over as it is. */
const handingOver = (
  bytes: Uint8Array,
  consumes: boolean,
  taskWith: (bytes: Uint8Array) => Task
): Crossing => {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer)) return { sent: taskWith(bytes), transfer: [] }
  if (consumes && bytes.byteLength === buffer.byteLength) return { sent: taskWith(bytes), transfer: [buffer] }
  const copy = new Uint8Array(bytes)
  return { sent: taskWith(copy), transfer: [copy.buffer] }
}

/** Chunks lie outside of the heap; what is on it is small and short-lived. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 }

export const isShared = (bytes: Uint8Array): boolean => bytes.buffer instanceof SharedArrayBuffer

/** As many as there are processors, 8 at most. */
export const usualThreads = (): number => Math.max(1, Math.min(availableParallelism(), 8))

const launch = (): Worker => {
  const worker = new Worker(entry, { resourceLimits })
  worker.unref()
  return worker
}

/** Started, and in no pool yet. */
const early: Array<Worker> = []

const forget = (worker: Worker): void => {
  const place = early.indexOf(worker)
  if (place >= 0) early.splice(place, 1)
}

/**
 * Starts threads for the pools that are made later: they get ready while the program loads and opens what it needs. One
 * that fails until then is forgotten, and the pool starts another.
 */
export const startEarly = (count = usualThreads()): void => {
  for (let started = 0; started < count; started++) {
    const worker = launch()
    worker.on("error", () => forget(worker))
    worker.on("exit", () => forget(worker))
    early.push(worker)
  }
}

/** Threads that wait for a pool. */
export const countEarly = (): number => early.length

export class ChunkWorkers {
  readonly count: number
  #threads: Array<Thread> = []
  #nextId = 0

  constructor(count: number) {
    this.count = count
  }

  /** Starts all threads now: they take some 40 ms, during which the caller has other things to do. */
  start(): void {
    while (this.#threads.length < this.count) this.#start()
  }

  /** Runs one task; the promise never rejects. */
  run(task: Task, key: Uint8Array | undefined): Promise<Result> {
    const thread = this.#leastBusy()
    const id = this.#nextId++
    return new Promise((resolve) => {
      if (thread.waiting.size === 0) thread.worker.ref()
      thread.waiting.set(id, resolve)
      const { sent, transfer } = crossing(task)
      thread.worker.postMessage({ ...sent, id, key }, transfer)
    })
  }

  /** Ends all threads. Call it only when no job is under way. */
  async close(): Promise<void> {
    const threads = this.#threads
    this.#threads = []
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }

  #leastBusy(): Thread {
    const idle = this.#threads.find(({ waiting }) => waiting.size === 0)
    if (idle !== undefined) return idle
    if (this.#threads.length < this.count) return this.#start()
    return this.#threads.reduce((best, thread) => (thread.waiting.size < best.waiting.size ? thread : best))
  }

  #start(): Thread {
    const worker = early.shift() ?? launch()
    const thread: Thread = { worker, waiting: new Map() }
    worker.on("message", ({ id, result }: Answer) => {
      const resolve = thread.waiting.get(id)
      thread.waiting.delete(id)
      if (thread.waiting.size === 0) worker.unref()
      resolve?.(result)
    })
    worker.on("error", (error) => this.#lose(thread, String(error)))
    worker.on("exit", (code) => this.#lose(thread, `worker thread ended with code ${code}`))
    this.#threads.push(thread)
    return thread
  }

  /** A thread that died fails its jobs; the next job starts another. */
  #lose(thread: Thread, why: string): void {
    this.#threads = this.#threads.filter((other) => other !== thread)
    for (const resolve of thread.waiting.values()) {
      resolve({ kind: "failed", operation: "work on a chunk", reason: "Io", code: undefined, defect: why })
    }
    thread.waiting.clear()
  }
}
