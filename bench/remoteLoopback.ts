/**
 * Backups through a server on this machine beside backups into a folder, by the command line: every round has an image
 * of its own, which both store and both restore, by turns first.
 */
import { execFileSync } from "node:child_process"
import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import * as path from "node:path"
import * as Measurement from "./Measurement.ts"
import { type Argv, usageOf } from "./mountProcesses.ts"
import type { BenchServer } from "./remoteServer.ts"
import { makeNoise } from "./SeededData.ts"

const MIB = 1024 * 1024

/** The client's own, and what the server did meanwhile. */
export interface Cost extends Measurement.Measurement {
  readonly serverSeconds: number
}

export type LoopbackStep = "backup" | "restore"

export interface LoopbackFigures {
  readonly imageMebibytes: number
  readonly local: Readonly<Record<LoopbackStep, ReadonlyArray<Cost>>>
  readonly served: Readonly<Record<LoopbackStep, ReadonlyArray<Cost>>>
  readonly serverPeakBytes: number
}

export interface LoopbackPlaces {
  readonly granary: Argv
  readonly work: string
  /** A datastore in a folder. */
  readonly localStore: string
  readonly server: BenchServer
  /** Of the server's datastore. */
  readonly storeName: string
  readonly imageMebibytes: number
  readonly rounds: number
  readonly note: (text: string) => void
}

/** Where backups go, and what a command needs to know to get there. */
interface Way {
  readonly name: "local" | "served"
  readonly repository: string
  readonly environment: Readonly<Record<string, string>>
}

const waysOf = ({ localStore, server, storeName }: LoopbackPlaces): ReadonlyArray<Way> => {
  const repository = `${server.token}@127.0.0.1:${server.port}:${storeName}`
  const environment = { PBS_PASSWORD: server.secret, PBS_FINGERPRINT: server.fingerprint }
  return [
    { name: "local", repository: localStore, environment: {} },
    { name: "served", repository, environment }
  ]
}

const writeImage = (file: string, seed: string, mebibytes: number): void => {
  const noise = makeNoise(seed)
  const block = Buffer.alloc(MIB)
  const target = openSync(file, "wx")
  for (let number = 0; number < mebibytes; number++) {
    noise(block)
    writeSync(target, block)
  }
  closeSync(target)
}

export const measureLoopback = (places: LoopbackPlaces): LoopbackFigures => {
  const { granary, imageMebibytes, note, rounds, server, work } = places
  const costs = { local: { backup: [], restore: [] }, served: { backup: [], restore: [] } } as Record<
    Way["name"],
    Record<LoopbackStep, Array<Cost>>
  >
  const image = path.join(work, "disk.img")
  const restored = path.join(work, "restored.img")
  const measure = (way: Way, step: LoopbackStep, ...rest: ReadonlyArray<string>): void => {
    const before = usageOf(server.pid).processorSeconds
    const argv: Argv = [...granary, step, "--repository", way.repository, ...rest]
    const measured = Measurement.run({ argv, environment: way.environment }, work)
    const serverSeconds = usageOf(server.pid).processorSeconds - before
    costs[way.name][step].push({ ...measured, serverSeconds })
    note(`${step}, ${way.name}: ${measured.wallSeconds.toFixed(2)} s`)
  }
  const ways = waysOf(places)
  for (let round = 0; round < rounds; round++) {
    const inOrder = round % 2 === 0 ? ways : ways.toReversed()
    const id = `round-${round}`
    writeImage(image, `image ${round}`, imageMebibytes)
    for (const way of inOrder) measure(way, "backup", "--backup-id", id, `disk.img:${image}`)
    for (const way of inOrder) {
      measure(way, "restore", `host/${id}`, "disk.img", restored)
      execFileSync("cmp", [image, restored])
      rmSync(restored)
    }
    rmSync(image)
  }
  return { imageMebibytes, ...costs, serverPeakBytes: usageOf(server.pid).memoryPeakBytes }
}
