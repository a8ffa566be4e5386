/**
 * The worker thread of `NodeChunkCodec`: takes jobs from its port and answers each with one message. Files are read
 * ahead and written behind, while other jobs are worked on. It starts nothing when imported outside a worker.
 */
import { parentPort } from "node:worker_threads"
import * as CryptConfig from "../format/CryptConfig.ts"
import { digestBytesOf, largestBlobBytes } from "./chunkContent.ts"
import { checkChunk, decodeBlob, encodeBlob, judgeBlob, loadChunk } from "./chunkTasks.ts"
import type { Answer, Job } from "./ChunkWorkers.ts"
import { CopyThrough } from "./CopyThrough.ts"
import { FilesError, fromErrno } from "./Files.ts"
import { type Content, ReadAhead } from "./ReadAhead.ts"
import { WriteBehind } from "./WriteBehind.ts"

/** Deriving a key's identity takes a moment, and one backup sends thousands of chunks with the same key. */
const keys = new Map<string, CryptConfig.CryptConfig>()

const keyOf = (raw: Uint8Array | undefined): CryptConfig.CryptConfig | undefined => {
  if (raw === undefined) return undefined
  const name = Buffer.from(raw).toString("hex")
  const known = keys.get(name) ?? CryptConfig.fromKey(raw)
  keys.set(name, known)
  return known
}

type ReadingJob = Extract<Job, { readonly kind: "load" | "check" }>
type WritingJob = Extract<Job, { readonly kind: "stage" | "receive" | "copy" }>

const performOnFile = (job: ReadingJob, content: Content): Answer["result"] => {
  const crypt = keyOf(job.key)
  return job.kind === "load"
    ? { kind: "loaded", value: loadChunk({ ...job.request, crypt }, content) }
    : { kind: "checked", value: checkChunk({ ...job.request, crypt }, content) }
}

const perform = (job: Exclude<Job, ReadingJob | WritingJob>): Answer["result"] => {
  const crypt = keyOf(job.key)
  switch (job.kind) {
    case "digest":
      return { kind: "digested", value: digestBytesOf(job.request.data, crypt) }
    case "encode":
      return { kind: "encoded", value: encodeBlob({ ...job.request, crypt }) }
    case "decode":
      return { kind: "loaded", value: decodeBlob({ ...job.request, crypt }) }
    case "judge":
      return { kind: "checked", value: judgeBlob({ ...job.request, crypt }) }
  }
}

const isWriting = (job: Job): job is WritingJob =>
  job.kind === "stage" || job.kind === "receive" || job.kind === "copy"

const pathOf = (job: Job): string => {
  if (isWriting(job)) return job.request.temporaryPath
  return job.kind === "load" || job.kind === "check" ? job.request.path : "a chunk"
}

const answerTo = (job: Job, run: () => Answer["result"]): Answer => {
  try {
    return { id: job.id, result: run() }
  } catch (error) {
    const operation = isWriting(job) ? "write" : "read"
    const failure = error instanceof FilesError ? error : fromErrno(operation, pathOf(job), error)
    // Anything without an errno is a defect of ours and is told as one.
    const defect = failure.code === undefined && failure.reason === "Io" ? String(error) : undefined
    const { reason, code } = failure
    return { id: job.id, result: { kind: "failed", operation, reason, code, defect } }
  }
}

/** Decoded and encoded bytes are handed over, not copied. */
const transfers = ({ result }: Answer): Array<ArrayBuffer> => {
  if (result.kind === "encoded") return result.value.blob === undefined ? [] : [result.value.blob.buffer]
  return result.kind === "loaded" && "data" in result.value ? [result.value.data.buffer] : []
}

const reply = (job: Job, run: () => Answer["result"]): void => {
  const answer = answerTo(job, run)
  parentPort?.postMessage(answer, transfers(answer))
}

const ahead = new ReadAhead()

const readFor = (job: ReadingJob): void => {
  const { path } = job.request
  ahead.read({
    path,
    maxSizeBytes: largestBlobBytes,
    use: (content) => reply(job, () => performOnFile(job, content))
  })
}

const behind = new WriteBehind()

const through = new CopyThrough()

const written = async (job: WritingJob): Promise<Answer["result"]> => {
  switch (job.kind) {
    case "stage":
      return { kind: "staged", value: await behind.stage({ ...job.request, crypt: keyOf(job.key) }) }
    case "receive":
      return { kind: "received", value: await behind.receive(job.request) }
    case "copy":
      return { kind: "received", value: await through.copy(job.request) }
  }
}

const writeFor = (job: WritingJob): void => {
  written(job).then(
    (result) => reply(job, () => result),
    (error: unknown) =>
      reply(job, () => {
        throw error
      })
  )
}

parentPort?.on("message", (job: Job) => {
  if (job.kind === "load" || job.kind === "check") readFor(job)
  else if (isWriting(job)) writeFor(job)
  else reply(job, () => perform(job))
})
