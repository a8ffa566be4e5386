/**
 * Prints how fast the scanners find chunk boundaries, in MB of input per second of processor time, next to a
 * plain sum over the same bytes as the limit of reading them. The data is generated from a seed.
 *
 * Run: node --conditions=development bench/chunker.ts [sizeMebibytes]
 */
import {
  archiveAverageBytes,
  catalogAverageBytes,
  makeDynamicChunker
} from "../src/chunking/DynamicChunker.ts"
import { makeScanner } from "../src/chunking/makeScanner.ts"
import type { Scanner, ScannerKind } from "../src/chunking/Scanner.ts"

const sizeBytes = Number(process.argv[2] ?? 256) * 1024 * 1024
const repetitions = 5

/** Words of a xorshift generator. */
const fillRandom = (bytes: Uint8Array): void => {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
  let state = 0x9e3779b9
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
}

/** Best of several runs, for other work on the machine only ever slows one down. */
const megabytesPerSecond = (run: () => unknown): number => {
  let best = 0
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const before = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(before)
    best = Math.max(best, sizeBytes / (user + system))
  }
  return best
}

const countChunks = (scanner: Scanner, averageBytes: number): number => {
  const chunker = makeDynamicChunker(scanner, averageBytes)
  let chunks = 0
  for (let start = 0; start < sizeBytes; chunks++) {
    start += chunker.next(scanner.dataOffset + start, sizeBytes - start, true)
  }
  return chunks
}

const sumWords = (bytes: Uint8Array): number => {
  const words = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3)
  let sum = 0
  for (let index = 0; index < words.length; index++) sum += words[index]!
  return sum
}

const print = (name: string, rate: number, note: string): void =>
  console.log(`${name.padEnd(44)} ${rate.toFixed(0).padStart(6)} MB/s  ${note}`)

const measure = (kind: ScannerKind, content: string, fill: (bytes: Uint8Array) => void): void => {
  const scanner = makeScanner(sizeBytes, { shared: true, prefer: kind })
  const data = scanner.bytes.subarray(scanner.dataOffset, scanner.dataOffset + sizeBytes)
  fill(data)
  for (const averageBytes of [archiveAverageBytes, catalogAverageBytes, 65_536]) {
    const chunks = countChunks(scanner, averageBytes)
    const rate = megabytesPerSecond(() => countChunks(scanner, averageBytes))
    print(`${scanner.kind}, ${content}, average ${averageBytes / 1024} KiB`, rate, `${chunks} chunks`)
  }
  const scanAll = (): void => {
    const end = scanner.dataOffset + sizeBytes
    for (let from = scanner.dataOffset + 64; from !== -1 && from < end;) {
      const cut = scanner.findCut(from, end, archiveAverageBytes)
      from = cut === -1 ? -1 : cut + 1
    }
  }
  print(`${scanner.kind}, ${content}, every position`, megabytesPerSecond(scanAll), "")
  if (kind === "wasm-simd")
    print(
      `sum of words, ${content}`,
      megabytesPerSecond(() => sumWords(data)),
      ""
    )
}

for (const kind of ["javascript", "wasm-simd"] as const) {
  measure(kind, "random", fillRandom)
  measure(kind, "zeros", (bytes) => bytes.fill(0))
}
