/**
 * Pulls from a server that is far away: the library's sync between a client of the server, over the line, and a
 * datastore in a folder.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import * as path from "node:path"
import * as Remote from "../src/remote/Remote.ts"
import * as RemoteSource from "../src/remote/RemoteSource.ts"
import type { SyncSource } from "../src/sync/SyncSource.ts"
import type { SyncOptions } from "../src/sync/SyncOptions.ts"
import { type Line, lateLine, plainSeconds } from "./lateLine.ts"
import type { BenchServer } from "./remoteServer.ts"
import * as Stores from "./syncStores.ts"

const KIB = 1024
const MIB = 1024 * KIB

export const roundTripMillis = 150
export const lineMegabits = 200

/** Over a line that carries whatever comes: only the way counts. */
export type LatencyKind = "four groups at once" | "one group after the other" | "pipelined"

const latencyKinds: ReadonlyArray<readonly [LatencyKind, Partial<SyncOptions>]> = [
  ["pipelined", {}],
  ["four groups at once", { pipelining: "off", parallelGroups: 4 }],
  ["one group after the other", { pipelining: "off" }]
]

/** One group over a line with a rate. */
export interface RateFigures {
  readonly chunkKibibytes: number
  readonly dataBytes: number
  /** Until the first chunk is asked for. */
  readonly beforeSeconds: number
  readonly seconds: number
}

export interface LateFigures {
  readonly groups: number
  readonly snapshotsPerGroup: number
  readonly chunks: number
  readonly seconds: Readonly<Record<LatencyKind, number>>
  readonly rates: ReadonlyArray<RateFigures>
  readonly plain: {
    /** Of one byte there and one back. */
    readonly roundTripSeconds: number
    readonly dataBytes: number
    readonly seconds: number
  }
}

export interface LateSizes {
  readonly chunks: number
  readonly rateMebibytes: number
}

export const rateChunkKibibytes = [4096, 64] as const

const groupsShape = { groups: 8, snapshotsPerGroup: 4 }

/** The datastores that the server shall have, by their names. */
export const makeStores = async (
  work: string,
  { chunks, rateMebibytes }: LateSizes
): Promise<Readonly<Record<string, string>>> => {
  const shapes: Readonly<Record<string, Stores.NoiseShape>> = {
    latency: { ...groupsShape, chunks, chunkBytes: 64 * KIB },
    ...Object.fromEntries(
      rateChunkKibibytes.map((kibibytes) => [
        `rate-${kibibytes}`,
        {
          groups: 1,
          snapshotsPerGroup: 1,
          chunks: (rateMebibytes * KIB) / kibibytes,
          chunkBytes: kibibytes * KIB
        }
      ])
    )
  }
  const made: Record<string, string> = {}
  for (const [name, shape] of Object.entries(shapes)) {
    made[name] = await Stores.makeBare(path.join(work, name))
    const filling = Stores.fill(made[name], Stores.groupsOfNoise(shape))
    await Effect.runPromise(Effect.provide(filling, Stores.machine))
  }
  return made
}

export interface LatePlaces extends LateSizes {
  readonly work: string
  readonly server: BenchServer
  readonly note: (text: string) => void
}

/** Tells when the first chunk is asked for. */
const watched = (source: SyncSource["Service"], onFirst: () => void): SyncSource["Service"] => {
  let isFirst = true
  const tell = Effect.sync(() => {
    if (isFirst) onFirst()
    isFirst = false
  })
  return {
    ...source,
    openSnapshot: (...of) =>
      Effect.map(source.openSnapshot(...of), (opened) => ({
        ...opened,
        chunk: (digest) => Effect.andThen(tell, opened.chunk(digest))
      }))
  }
}

/** From a client that knows nothing yet, to the last snapshot that is stored and flushed. */
const pull = ({ server, work }: LatePlaces, store: string, line: Line, options: Partial<SyncOptions>) =>
  Effect.gen(function* () {
    const port = yield* lateLine(server.port, line)
    const remote = yield* Remote.make({
      address: { authId: server.token, host: "127.0.0.1", port, store },
      secret: Redacted.make(server.secret),
      fingerprint: server.fingerprint
    })
    const to = yield* Effect.promise(() => Stores.makeBare(path.join(work, "pulled")))
    execFileSync("sync")
    const startMillis = performance.now()
    let beforeSeconds = 0
    const source = watched(RemoteSource.make(remote), () => {
      beforeSeconds = (performance.now() - startMillis) / 1000
    })
    const { counts } = yield* Stores.pullFrom(source, to, options)
    const seconds = (performance.now() - startMillis) / 1000
    rmSync(to, { recursive: true })
    return { beforeSeconds, seconds, dataBytes: counts.chunkBytes, chunks: counts.chunks }
  }).pipe(Effect.scoped, Effect.provide(Stores.machine))

const measurePlain = (dataBytes: number) =>
  Effect.all({
    roundTripSeconds: plainSeconds({ roundTripMillis }, 1),
    dataBytes: Effect.succeed(dataBytes),
    seconds: plainSeconds({ roundTripMillis, megabits: lineMegabits }, dataBytes)
  }).pipe(Effect.scoped)

const measureAll = (places: LatePlaces) =>
  Effect.gen(function* () {
    const { chunks, note, rateMebibytes } = places
    const plain = yield* measurePlain(rateMebibytes * MIB)
    note(`a plain socket: ${plain.seconds.toFixed(2)} s`)
    const rates: Array<RateFigures> = []
    for (const chunkKibibytes of rateChunkKibibytes) {
      const line = { roundTripMillis, megabits: lineMegabits }
      const pulled = yield* pull(places, `rate-${chunkKibibytes}`, line, {})
      rates.push({ chunkKibibytes, ...pulled })
      note(`one group, chunks of ${chunkKibibytes} KiB: ${pulled.seconds.toFixed(2)} s`)
    }
    const seconds = {} as Record<LatencyKind, number>
    for (const [kind, options] of latencyKinds) {
      const pulled = yield* pull(places, "latency", { roundTripMillis }, options)
      if (pulled.chunks !== chunks) throw new Error(`${kind}: ${pulled.chunks} chunks came, not ${chunks}`)
      seconds[kind] = pulled.seconds
      note(`${kind}: ${pulled.seconds.toFixed(2)} s`)
    }
    return { ...groupsShape, chunks, seconds, rates, plain } satisfies LateFigures
  })

export const measureLate = (places: LatePlaces): Promise<LateFigures> => Effect.runPromise(measureAll(places))
