/**
 * The floor's work: what a first backup or a verification cannot do without, in plain loops on as many threads as there
 * are processors, and nothing else: no datastore, no locks, no index, no order. The chunks' bytes are treated by the
 * functions that Granary itself uses. The clock runs from when all threads are ready until all are done, so no program
 * is started in it; prints seconds of wall time and of processor time.
 *
 * Run: floorWork.ts first FILE EMPTY-FOLDER | floorWork.ts verify DATASTORE
 */
import { openSync, readdirSync, readSync, statSync } from "node:fs"
import { availableParallelism } from "node:os"
import * as path from "node:path"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { makeScanner } from "../src/chunking/makeScanner.ts"
import { headerSize } from "../src/format/DataBlob.ts"
import * as Digest from "../src/model/Digest.ts"
import { digestBytesOf, largestBlobBytes } from "../src/platform/chunkContent.ts"
import { checkChunk } from "../src/platform/chunkTasks.ts"
import { ReadAhead } from "../src/platform/ReadAhead.ts"
import { WriteBehind } from "../src/platform/WriteBehind.ts"

interface Share {
  readonly thread: number
  readonly threads: number
  readonly step: string
  readonly subject: string
  readonly folder: string
  /** Of chunks, in the order of their inodes; only for verifying. */
  readonly files: ReadonlyArray<string>
}

const chunkBytes = 4 * 1024 * 1024
const blockBytes = 512 * 1024
/** A quarter of the average size is passed over by the scanner. */
const unscannedBytes = chunkBytes / 4

/** A chunk, room for the header before it and for what a direct transfer takes behind it. */
const slotBytes = chunkBytes + 2 * blockBytes

/** Reads, scans, hashes, probes and writes every so-many-th piece of the average size, each while the last is written. */
const store = async ({ folder, subject, thread, threads }: Share): Promise<void> => {
  const scanner = makeScanner(2 * slotBytes, { shared: true })
  const behind = new WriteBehind()
  const fd = openSync(subject, "r")
  const pieces = Math.floor(statSync(subject).size / chunkBytes)
  const slots = [0, 1].map((number) => ({
    start: scanner.dataOffset + number * slotBytes + headerSize("plain"),
    written: Promise.resolve<unknown>(undefined)
  }))
  for (let piece = thread; piece < pieces; piece += threads) {
    const slot = slots.shift()!
    await slot.written
    const { start } = slot
    for (let done = 0; done < chunkBytes; done += blockBytes) {
      readSync(fd, scanner.bytes, start + done, blockBytes, piece * chunkBytes + done)
      if (done < unscannedBytes) continue
      // Wherever cuts are, all of it is looked at.
      const end = start + done + blockBytes
      for (let from = start + done; from !== 0 && from <= end;) {
        from = scanner.findCut(from, end, chunkBytes) + 1
      }
    }
    const data = scanner.bytes.subarray(start, start + chunkBytes)
    const name = Digest.fromBytes(digestBytesOf(data, undefined))
    const temporaryPath = path.join(folder, name)
    const request = { data, temporaryPath, compress: true, crypt: undefined, sync: false, hasMargins: true }
    slots.push({ start, written: behind.stage(request) })
  }
  await Promise.all(slots.map(({ written }) => written))
}

/** What it rejects with ends the thread, and with it the program. */
const storeAll = async (share: Share, done: () => void): Promise<void> => {
  await store(share)
  done()
}

/** Reads every so-many-th chunk and proves it. */
const verify = ({ files, thread, threads }: Share, done: () => void): void => {
  const ahead = new ReadAhead()
  const own = files.filter((_, place) => place % threads === thread)
  let left = own.length
  for (const file of own) {
    const expected = { digest: Digest.parse(path.basename(file)), sizeBytes: undefined, crypt: undefined }
    ahead.read({
      path: file,
      maxSizeBytes: largestBlobBytes,
      use: (content) => {
        const { state } = checkChunk({ ...expected, path: file }, content)
        if (state !== "good") throw new Error(`${file} is ${state}`)
        left -= 1
        if (left === 0) done()
      }
    })
  }
}

const chunksOf = (datastore: string): ReadonlyArray<string> =>
  readdirSync(path.join(datastore, ".chunks"), { recursive: true, encoding: "utf8" })
    .filter((name) => /^[0-9a-f]{4}\/[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(datastore, ".chunks", name))
    .map((file) => ({ file, inode: statSync(file).ino }))
    .toSorted((left, right) => left.inode - right.inode)
    .map(({ file }) => file)

/** Starts the threads, has all begin at once, and prints what it took until the last one is done. */
const lead = (): void => {
  const [step = "", subject = "", folder = ""] = process.argv.slice(2)
  const files = step === "verify" ? chunksOf(subject) : []
  const threads = availableParallelism()
  let running = 0
  let wallBefore = 0
  let processorBefore = process.cpuUsage()
  const workers = Array.from({ length: threads }, (_, thread) => {
    const share: Share = { thread, threads, step, subject, folder, files }
    const worker = new Worker(new URL(import.meta.url), { workerData: share })
    worker.on("error", (error) => {
      throw error
    })
    return worker
  })
  const begin = (): void => {
    wallBefore = performance.now()
    processorBefore = process.cpuUsage()
    workers.forEach((worker) => worker.postMessage("begin", []))
  }
  const end = (): void => {
    const { system, user } = process.cpuUsage(processorBefore)
    console.log(JSON.stringify([(performance.now() - wallBefore) / 1e3, (system + user) / 1e6]))
  }
  for (const worker of workers) {
    worker.on("message", (state) => {
      running += state === "ready" ? 1 : -1
      if (state === "ready" && running === threads) begin()
      if (state === "done" && running === 0) end()
    })
  }
}

const follow = (share: Share): void => {
  const done = (): void => parentPort?.postMessage("done", [])
  parentPort?.once("message", () => {
    if (share.step === "verify") return verify(share, done)
    void storeAll(share, done)
  })
  parentPort?.postMessage("ready", [])
}

if (isMainThread) lead()
else follow(workerData)
