/**
 * Measures garbage collection: how fast index entries are marked and how much memory a chunk takes, and how fast the
 * chunk folders are swept beside a C program that does the same listing and the same stat calls (where there is a C compiler).
 *
 * Run: node --conditions=development --expose-gc bench/gc.ts [CHUNKS [INDEXES [FILES [FOLDER]]]]
 *
 * CHUNKS different digests are marked out of INDEXES indexes; FILES files lie in the chunk folders of a store made in
 * FOLDER (the system's temporary folder by default), and all of it is removed in the end.
 */
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { hash } from "node:crypto"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { setImmediate } from "node:timers/promises"
import * as DynamicIndex from "../src/format/DynamicIndex.ts"
import * as ChunkListing from "../src/gc/ChunkListing.ts"
import * as IndexFile from "../src/gc/IndexFile.ts"
import * as Marks from "../src/gc/Marks.ts"
import { ChunkCodec } from "../src/platform/ChunkCodec.ts"
import * as NodeFiles from "../src/platform/NodeFiles.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import { layoutOf } from "../src/store/StoreLayout.ts"
import * as Machine from "./Machine.ts"

const numberAt = (position: number, otherwise: number): number => Number(process.argv[position] ?? otherwise)
const chunkCount = numberAt(2, 1_000_000)
const indexCount = numberAt(3, 200)
const fileCount = numberAt(4, 400_000)
const repetitions = 3

const digestOf = (number: number): Buffer => hash("sha256", `chunk ${number}`, "buffer")

/** Every index shares most of its chunks with the one before, as snapshots do; together they name all of them. */
const writeIndexes = (folder: string): ReadonlyArray<string> => {
  const digests = Array.from({ length: chunkCount }, (_, number) => digestOf(number))
  const perIndex = Math.min(chunkCount, Math.max(100_000, Math.ceil(chunkCount / indexCount)))
  const step = Math.ceil(chunkCount / indexCount)
  return Array.from({ length: indexCount }, (_, index) => {
    const builder = new DynamicIndex.DynamicIndexBuilder()
    for (let entry = 0; entry < perIndex; entry++) {
      builder.add((entry + 1) * 4_000_000, digests[(index * step + entry) % chunkCount]!)
    }
    const file = path.join(folder, `${index}.didx`)
    writeFileSync(file, builder.finish({ uuid: Buffer.alloc(16), ctime: index }).bytes)
    return file
  })
}

const collectGarbage = (globalThis as { gc?: () => void }).gc

/** Needs --expose-gc, or else it is a guess. */
const memoryBytes = async (): Promise<number> => {
  for (let time = 0; time < 3; time++) {
    collectGarbage?.()
    await setImmediate()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

const print = (name: string, value: string): void => console.log(`${name.padEnd(46)} ${value}`)

const secondsOf = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await run()
  return (performance.now() - start) / 1000
}

const markAll = (marks: Marks.Marks, files: ReadonlyArray<string>) =>
  Effect.runPromise(
    Effect.forEach(
      files,
      (file) =>
        Effect.gen(function* () {
          const { digest } = yield* ChunkCodec
          const index = yield* IndexFile.read(file)
          if (index === undefined) return
          yield* Effect.all([IndexFile.prove(file, index, digest), marks.mark(index)], { concurrency: 2 })
        }),
      { discard: true }
    ).pipe(Effect.provide(NodePlatform.layer))
  )

const measureMarking = async (folder: string): Promise<Marks.Marks> => {
  const files = writeIndexes(folder)
  const before = await memoryBytes()
  let marks = Marks.makeSet(1)
  let best = Number.POSITIVE_INFINITY
  for (let repetition = 0; repetition < repetitions; repetition++) {
    marks = Marks.makeSet(repetition + 1)
    best = Math.min(best, await secondsOf(() => markAll(marks, files)))
  }
  const perChunk = ((await memoryBytes()) - before) / marks.statistics.misses
  const { entries, misses } = marks.statistics
  print(
    "index entries, different chunks",
    `${entries.toLocaleString("en-US")}, ${misses.toLocaleString("en-US")}`
  )
  print("marked (read, proven and marked)", `${(entries / best / 1e6).toFixed(2)} million entries/s (goal 5)`)
  print("memory of the marks", `${perChunk.toFixed(0)} bytes a chunk (goal 150 at most)`)
  for (const file of files) rmSync(file)
  return marks
}

const program = String.raw`
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
int main(int count, char **arguments) {
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  long files = 0, bytes = 0;
  char path[4096];
  for (int prefix = 0; prefix < 65536; prefix++) {
    snprintf(path, sizeof path, "%s/%04x", arguments[1], prefix);
    DIR *folder = opendir(path);
    if (!folder) continue;
    for (struct dirent *entry; (entry = readdir(folder));) {
      struct stat stat;
      if (entry->d_name[0] == '.') continue;
      if (fstatat(dirfd(folder), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW)) continue;
      files++;
      bytes += stat.st_size;
    }
    closedir(folder);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%f\n", to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9);
  return count < 2;
}
`

const compile = (folder: string): string | undefined => {
  const source = path.join(folder, "stats.c")
  const binary = path.join(folder, "stats")
  writeFileSync(source, program)
  return spawnSync("cc", ["-O2", "-o", binary, source]).status === 0 ? binary : undefined
}

const makeChunks = (chunks: string): void => {
  mkdirSync(chunks)
  for (let prefix = 0; prefix < 65_536; prefix++) {
    mkdirSync(path.join(chunks, prefix.toString(16).padStart(4, "0")))
  }
  for (let number = 0; number < fileCount; number++) {
    const name = digestOf(number).toString("hex")
    closeSync(openSync(path.join(chunks, name.slice(0, 4), name), "w"))
  }
}

const measureSweep = async (folder: string, marks: Marks.Marks): Promise<void> => {
  const layout = layoutOf(folder)
  makeChunks(layout.chunks)
  const binary = compile(folder)
  const rates: { ours: number; program: number } = { ours: 0, program: 0 }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const input = { layout, marks, cutoffSeconds: 0, writersSeconds: 0, doubts: [] }
    const sweep = () => Effect.runPromise(Effect.provide(ChunkListing.run(input), NodeFiles.layer))
    if (binary !== undefined) {
      const seconds = Number(execFileSync(binary, [layout.chunks], { encoding: "utf8" }))
      rates.program = Math.max(rates.program, fileCount / seconds)
    }
    rates.ours = Math.max(rates.ours, fileCount / (await secondsOf(sweep)))
  }
  print("swept", `${Math.round(rates.ours).toLocaleString("en-US")} files/s`)
  if (binary === undefined) return print("the same stat calls in C", "no C compiler here")
  print("the same stat calls in C", `${Math.round(rates.program).toLocaleString("en-US")} files/s`)
  print("share of it", `${((rates.ours / rates.program) * 100).toFixed(0)} % (goal 50)`)
}

const folder = mkdtempSync(path.join(process.argv[5] ?? tmpdir(), "granary-bench-gc-"))
try {
  for (const line of Machine.describe(folder)) console.log(`- ${line}`)
  await measureSweep(folder, await measureMarking(folder))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
