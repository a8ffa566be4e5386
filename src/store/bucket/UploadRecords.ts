/**
 * UploadRecords: what the processes of this host have uploaded, as the server acknowledged it: size and ETag of every
 * chunk. A verification compares listings with it, so that it need not read what has not changed.
 *
 * The records lie in `.granary-uploads` of the cache folder, in files of up to 4,096 (see `RecordTable`). Each process
 * has a file of its own, which it replaces by a longer one after every 64 uploads, so nobody appends to what another
 * writes, and a process that is killed loses 63 records at most. Files are merged now and then, under a lock, by
 * whoever reads them; what is to be merged gets another name first, so that its process, if it still lives, begins it
 * anew with all of its records.
 *
 * Invariant: records are a set. A record that is lost, or comes back after it was forgotten or merged, condemns nothing
 * and hides nothing: without one a chunk is looked at less closely, and whatever is recorded was good. So nothing here
 * is worth failing an upload for, and only `flush` waits for the disk.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as path from "node:path"
import type { Digest } from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import { randomHex } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import type { StoreLocks } from "../StoreLocks.ts"
import { encode, recordBytes, RecordTable, type Uploaded } from "./RecordTable.ts"

export interface UploadRecords {
  /** Notes an upload. What cannot be written now is kept in memory, until `flush` says why. */
  readonly record: (digest: Digest, uploaded: Uploaded) => Effect.Effect<void>
  /** Makes what this process has noted survive a power loss. */
  readonly flush: Effect.Effect<void, FilesError>
  /** Everything that is recorded. Merges the files when they are many. */
  readonly load: Effect.Effect<RecordTable, FilesError>
  /**
   * Drops the records of chunks that are gone: one pass over all records, so to be called once for many. While another
   * process merges, they stay.
   */
  readonly forget: (digests: Iterable<Digest>) => Effect.Effect<void, FilesError>
}

export const folderOf = (layout: StoreLayout): string => `${layout.base}/.granary-uploads`

const lockName = "upload records"

const recordsPerSave = 64

const recordsPerFile = 4096

const recordsPerMergedFile = 2 ** 20

const fileMaxBytes = recordsPerMergedFile * recordBytes

/** Merged are files only when there are more than these, and a third of them would do. */
const filesMin = 16

/** A file, or one that is about to be merged. */
const namePattern = /^[0-9a-f]{16}\.(?:log|merging)$/

/** So often is the folder listed again when files that were there have been merged meanwhile. */
const listingsMax = 10

/** What a killed process has left beside its file. */
const leftoverPattern = /^[0-9a-f]{16}\.tmp_/

const leftoverAgeSeconds = 3600

/** A file of this process: the records it holds, or will hold. */
interface Tail {
  readonly name: string
  readonly bytes: Uint8Array
  count: number
}

const contentOf = ({ bytes, count }: Tail): Uint8Array => bytes.subarray(0, count * recordBytes)

const fileCountOf = (recordCount: number): number => Math.ceil(recordCount / recordsPerMergedFile)

const newName = Effect.map(randomHex(8), (letters) => `${letters}.log`)

const newTail = Effect.map(newName, (name): Tail => ({
  name,
  bytes: new Uint8Array(recordsPerFile * recordBytes),
  count: 0
}))

/** The files as they are; they may be read by many at once. */
const makeReader = (files: Files["Service"], folder: string) => {
  const listNames = Effect.map(
    files.readDirectory(folder).pipe(Effect.catchIf(isNotFound, () => Effect.succeed([]))),
    (entries) => entries.flatMap(({ name }) => (namePattern.test(name) ? [name] : []))
  )

  /** False when it was merged into another since it was listed. */
  const readInto = (table: RecordTable, name: string) =>
    files.readFile(`${folder}/${name}`, fileMaxBytes).pipe(
      Effect.map((bytes) => {
        table.addAll(bytes)
        return true
      }),
      Effect.catchIf(isNotFound, () => Effect.succeed(false))
    )

  const readAll = Effect.gen(function* () {
    const table = new RecordTable()
    for (let listing = 1; ; listing++) {
      const names = yield* listNames
      const areThere = yield* Effect.forEach(names, (name) => readInto(table, name))
      if (areThere.every(Boolean) || listing === listingsMax) return { table, names }
    }
  })

  return { listNames, readAll, readInto }
}

/** Everything that changes files of others; whoever calls holds the lock. */
const makeMerger = (files: Files["Service"], folder: string) => {
  const { listNames, readInto } = makeReader(files, folder)

  const removeLeftovers = Effect.gen(function* () {
    const nowSeconds = (yield* Clock.currentTimeMillis) / 1000
    for (const { name, mtimeSeconds } of yield* files.statDirectory(folder)) {
      if (!leftoverPattern.test(name) || nowSeconds - mtimeSeconds < leftoverAgeSeconds) continue
      yield* Effect.ignore(files.unlink(`${folder}/${name}`))
    }
  })

  const claim = (name: string) =>
    name.endsWith(".log")
      ? files.rename(`${folder}/${name}`, `${folder}/${name.replace(/log$/, "merging")}`)
      : Effect.void

  const merge = (dropped?: DigestTable) =>
    Effect.gen(function* () {
      yield* Effect.forEach(yield* listNames, claim, { discard: true })
      const claimed = (yield* listNames).filter((name) => name.endsWith(".merging"))
      if (claimed.length === 0) return
      const table = new RecordTable()
      for (const name of claimed) yield* readInto(table, name)
      for (const piece of table.pieces(recordsPerMergedFile, dropped)) {
        yield* files.replaceFile(`${folder}/${yield* newName}`, [piece], { sync: true })
      }
      for (const name of claimed) yield* files.unlink(`${folder}/${name}`)
      yield* removeLeftovers
    })

  return { merge }
}

/** This process's own files. */
const makeWriter = (files: Files["Service"], folder: string) =>
  Effect.gen(function* () {
    const saving = yield* Semaphore.make(1)
    let tail: Tail | undefined
    /** Those of which a power loss may take something. */
    const unflushed = new Set<Tail>()

    /** With its name flushed: what is flushed into it later must not be lost with the folder. */
    const makeFolder = Effect.andThen(
      files.makeDirectory(folder),
      files.syncDirectory(path.dirname(folder))
    ).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "AlreadyExists",
        () => Effect.void
      )
    )

    const write = (name: string, content: Uint8Array, sync: boolean) => {
      const writing = files.replaceFile(`${folder}/${name}`, [content], { sync })
      return writing.pipe(Effect.catchIf(isNotFound, () => Effect.andThen(makeFolder, writing)))
    }

    /** One at a time, so that a file never becomes shorter. */
    const save = (saved: Tail, sync: boolean) =>
      saving.withPermit(
        Effect.suspend(() => {
          const { count } = saved
          return Effect.map(write(saved.name, contentOf(saved), sync), () => {
            if (sync && saved.count === count) unflushed.delete(saved)
          })
        })
      )

    const record = (digest: Digest, uploaded: Uploaded) =>
      Effect.gen(function* () {
        const current = (tail ??= yield* newTail)
        encode(current.bytes, current.count * recordBytes, digest, uploaded)
        current.count += 1
        unflushed.add(current)
        const isFull = current.count === recordsPerFile
        if (isFull) tail = undefined
        if (current.count % recordsPerSave === 0) yield* Effect.ignore(save(current, isFull))
      })

    /** A file that was flushed is never replaced again: that could cost its content in a power loss. */
    const flush = Effect.suspend(() => {
      tail = undefined
      return Effect.forEach([...unflushed], (each) => save(each, true), { discard: true })
    })

    const addUnflushedTo = (table: RecordTable): void => {
      for (const each of unflushed) table.addAll(contentOf(each))
    }

    return { record, flush, addUnflushedTo }
  })

export const make = (
  layout: StoreLayout,
  locks: StoreLocks["Service"]
): Effect.Effect<UploadRecords, never, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const folder = folderOf(layout)
    const { readAll } = makeReader(files, folder)
    const { merge } = makeMerger(files, folder)
    const writer = yield* makeWriter(files, folder)
    yield* Effect.addFinalizer(() => Effect.ignore(writer.flush))

    const exclusively = (change: Effect.Effect<void, FilesError>) =>
      Effect.scoped(
        Effect.flatMap(locks.tryHold(lockName, "exclusive"), (held) => (held ? change : Effect.void))
      )

    const load = Effect.gen(function* () {
      const { names, table } = yield* readAll
      writer.addUnflushedTo(table)
      const areMany = names.length > Math.max(filesMin, 3 * fileCountOf(table.count))
      // On a read-only store they stay as they are.
      if (areMany) yield* Effect.ignore(exclusively(merge()))
      return table
    })

    const forget = (digests: Iterable<Digest>) =>
      Effect.gen(function* () {
        const dropped = new DigestTable()
        for (const digest of digests) dropped.addDigest(digest)
        if (dropped.size === 0) return
        yield* writer.flush
        yield* exclusively(merge(dropped))
      })

    return { record: writer.record, flush: writer.flush, load, forget }
  })
