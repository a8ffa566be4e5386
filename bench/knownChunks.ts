/**
 * Prints what the proof of known chunks costs: first within backups whose chunks are all known, with the proof and
 * without it, in turns within one run; then by itself for many chunks. The data is generated; a chunk's content is a
 * number and zeros, so that all of the time goes into what a backup cannot leave out: hashing it.
 *
 * Run: node --conditions=development bench/knownChunks.ts
 *   [--chunks 10000] [--chunk-kibibytes 256] [--rounds 3] [--alone 50000] [--folder FOLDER]
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hash } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as ArchiveWriter from "../src/backup/ArchiveWriter.ts"
import * as BackupSession from "../src/backup/BackupSession.ts"
import * as KnownChunks from "../src/backup/KnownChunks.ts"
import * as Datastore from "../src/datastore/Datastore.ts"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as Digest from "../src/model/Digest.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"

const { values } = parseArgs({
  options: {
    chunks: { type: "string", default: "10000" },
    "chunk-kibibytes": { type: "string", default: "256" },
    rounds: { type: "string", default: "3" },
    alone: { type: "string", default: "50000" },
    folder: { type: "string", default: tmpdir() }
  }
})
const chunkCount = Number(values.chunks)
const chunkBytes = Number(values["chunk-kibibytes"]) * 1024
const modes: ReadonlyArray<KnownChunks.KnownChunksCheck> = ["off", "register", "finish", "both"]
const archive = ArchiveName.fromClient("disk.img")

interface Cost {
  readonly wallMillis: number
  readonly processorMillis: number
  /** The longest time for which nothing else had its turn. */
  readonly stopMillis: number
}

const measure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Cost, E, R> =>
  Effect.gen(function* () {
    const startCpu = process.cpuUsage()
    const start = performance.now()
    let last = start
    let stopMillis = 0
    let next = setImmediate(() => undefined)
    const turn = (): void => {
      stopMillis = Math.max(stopMillis, performance.now() - last)
      last = performance.now()
      next = setImmediate(turn)
    }
    turn()
    yield* effect
    clearImmediate(next)
    const { system, user } = process.cpuUsage(startCpu)
    const end = performance.now()
    return {
      wallMillis: end - start,
      processorMillis: (user + system) / 1000,
      stopMillis: Math.max(stopMillis, end - last)
    }
  })

const print = (name: string, { processorMillis, stopMillis, wallMillis }: Cost, note = ""): void =>
  console.log(
    `${name.padEnd(34)} ${wallMillis.toFixed(0).padStart(8)} ms wall ${processorMillis.toFixed(0).padStart(8)} ms CPU ` +
      `${stopMillis.toFixed(1).padStart(8)} ms longest stop  ${note}`
  )

/** Numbered chunks: all of the memory stays zero but for the number. */
const fill = (writer: ArchiveWriter.ArchiveWriter) =>
  Effect.gen(function* () {
    let inChunk = 0
    for (let chunk = 0; chunk < chunkCount;) {
      const space = writer.ingest.space()
      const count = Math.min(space.length, chunkBytes - inChunk)
      space.fill(0, 0, count)
      if (inChunk === 0) Buffer.from(space.buffer, space.byteOffset).writeUInt32LE(chunk + 1)
      yield* writer.ingest.commit(count)
      inChunk = (inChunk + count) % chunkBytes
      if (inChunk === 0) chunk++
    }
  })

const backUp = (knownChunks: KnownChunks.KnownChunksCheck, time: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* BackupSession.open({
        namespace: Namespace.root,
        group: BackupGroup.make("host", "bench"),
        owner: AuthId.parse("root@pam"),
        time,
        knownChunks
      })
      const sizeBytes = chunkCount * chunkBytes
      const writer = yield* ArchiveWriter.open(session, archive, { kind: "fixed", chunkBytes, sizeBytes })
      yield* fill(writer)
      yield* writer.finish
      yield* session.finish
      if (time > 1 && session.statistics.reusedChunks !== chunkCount)
        throw new Error("not all chunks are known")
    })
  )

const smallest = (costs: ReadonlyArray<Cost>): Cost =>
  costs.reduce((left, right) => (right.processorMillis < left.processorMillis ? right : left))

const compareModes = Effect.gen(function* () {
  let time = 1
  print("first backup", yield* measure(backUp("off", time++)))
  const costs = new Map(modes.map((mode) => [mode, [] as Array<Cost>]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const mode of modes) costs.get(mode)?.push(yield* measure(backUp(mode, time++)))
  }
  const off = smallest(costs.get("off") ?? [])
  for (const [mode, found] of costs) {
    const best = smallest(found)
    const share = (best.processorMillis / off.processorMillis - 1) * 100
    print(`again, --known-chunks ${mode}`, best, mode === "off" ? "" : `${share.toFixed(1)} % more CPU`)
  }
})

/** Digests with a file of one byte each under the chunk's name. */
const makeChunks = (base: string, count: number): Uint8Array => {
  const digests = new Uint8Array(count * 32)
  for (let number = 0; number < count; number++) {
    const digest = hash("sha256", `alone ${number}`, "hex")
    digests.set(Buffer.from(digest, "hex"), number * 32)
    writeFileSync(path.join(base, ".chunks", digest.slice(0, 4), digest), "x")
  }
  return digests
}

const proveAlone = (count: number) =>
  Effect.gen(function* () {
    const { layout, presence } = yield* Datastore.Datastore
    const digests = makeChunks(layout.base, count)
    const known = new KnownChunks.KnownChunks(1)
    const register = Effect.sync(() => {
      for (let offset = 0; offset < digests.length; offset += 32) known.register(digests, offset)
    })
    print(`${count} chunks: registered`, yield* measure(register))
    let row: Uint8Array = digests
    const plan = Effect.sync(() => void (row = KnownChunks.plan(known, "both", "register").digests))
    print(`${count} chunks: planned`, yield* measure(plan))
    const prove = Effect.map(presence.findAbsent(row), ({ length }) => {
      if (length > 0) throw new Error(`${length} chunks are missing`)
    })
    for (const turn of ["first", "second"]) {
      print(`${count} chunks: proven, ${turn} time`, yield* measure(prove))
    }
    const stat = Effect.forEach(
      Array.from({ length: Math.min(count, 20_000) }, (_, number) => number),
      (number) =>
        Effect.flatMap(Datastore.Datastore, ({ chunks }) =>
          chunks.stat(Digest.fromBytes(digests, number * 32))
        ),
      { concurrency: 16, discard: true }
    )
    print(`${Math.min(count, 20_000)} chunks: one stat at a time`, yield* measure(stat), "for comparison")
  })

mkdirSync(values.folder, { recursive: true })
const folder = mkdtempSync(path.join(values.folder, "granary-known-"))
const base = path.join(folder, "store")
const bench = Effect.gen(function* () {
  if (chunkCount > 0) yield* compareModes
  if (Number(values.alone) > 0) yield* proveAlone(Number(values.alone))
}).pipe(Effect.provide(Layer.fresh(Datastore.layer({ path: base }))))

try {
  console.log(`${chunkCount} chunks of ${chunkBytes / 1024} KiB in ${folder}`)
  await Effect.runPromise(Effect.provide(Effect.andThen(Datastore.create(base), bench), NodePlatform.layer))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
