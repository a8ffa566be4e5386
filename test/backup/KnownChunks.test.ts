/** KnownChunks through whole backups: chunks that vanish before, during and after, and what becomes of the backup. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import { hash } from "node:crypto"
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type * as Backup from "../../src/backup/Backup.ts"
import type { ByteSource } from "../../src/backup/ByteSource.ts"
import * as KnownChunks from "../../src/backup/KnownChunks.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as TaskId from "../../src/model/TaskId.ts"
import * as Layer from "effect/Layer"
import type { Hooks } from "../store/HookedFiles.ts"
import { ioError } from "../store/HookedFiles.ts"
import { hookedPlatform } from "../store/stores.ts"
import {
  assertVerified,
  backUp,
  chunkFileOf,
  chunkFiles,
  inStore,
  keyOf,
  newStore,
  noise,
  owner,
  removeChunk,
  sampleTree
} from "./stores.ts"

const mebibyte = 1024 * 1024

const sourceOf = (content: Buffer, before: () => void = () => undefined): ByteSource => {
  let rest = content
  return {
    read: (target) =>
      Effect.sync(() => {
        if (rest === content) before()
        const count = rest.copy(target)
        rest = rest.subarray(count)
        return count
      })
  }
}

const streamOf = (client: string, source: ByteSource) =>
  ({ kind: "stream", archive: ArchiveName.fromClient(client), source }) as const

/** An image of so many chunks of 4 MiB; `afterwards` happens when all of it has been stored, and before the end. */
const image = (seeds: ReadonlyArray<string>, afterwards?: () => void) => {
  const content = Buffer.concat(seeds.map((seed) => noise(seed, 4 * mebibyte)))
  const disk = streamOf("disk.img", sourceOf(content))
  if (afterwards === undefined) return { archives: [disk] }
  return { archives: [disk, streamOf("late.img", sourceOf(Buffer.from("late"), afterwards))] }
}

const digestOf = (seed: string): Digest.Digest =>
  Digest.parse(hash("sha256", noise(seed, 4 * mebibyte), "hex"))

type Options = Partial<Backup.BackupOptions>

const fails = (options: Options) =>
  Effect.map(Effect.flip(backUp("", options)), (error) => {
    assert.instanceOf(error, KnownChunks.KnownChunkMissing)
    return error
  })

const manifestOf = (snapshot: Snapshot.Snapshot) =>
  Effect.flatMap(Datastore.Datastore, ({ snapshotFiles }) => snapshotFiles.manifest(Namespace.root, snapshot))

const stateOf = (snapshot: Snapshot.Snapshot) =>
  Effect.map(manifestOf(snapshot), (manifest) => ManifestNotes.verifyState(manifest))

/** Proves that the snapshot is marked as failed by a backup, in a form that others can read. */
const assertMarked = (snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const state = yield* stateOf(snapshot)
    assert.strictEqual(state?.state, "failed")
    const task = TaskId.parse(state?.upid ?? "")
    assert.deepInclude(task, { workerType: "backup", workerId: "store:host/test", authId: owner })
    assert.strictEqual(TaskId.format(task), state?.upid)
    assert.isAbove(task.starttime, 1_700_000_000)
  })

const snapshotsIn = (base: string): number => readdirSync(join(base, "host/test")).length - 1

/** Runs with the datastore in `base` open over files with hooks. */
const inHookedStore =
  (base: string, hooks: Hooks) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(
      Effect.scoped(effect),
      Layer.provideMerge(Datastore.layer({ path: base }), hookedPlatform(hooks))
    )

/** When it is looked for, and a way for a chunk to be no longer there. */
const losses: ReadonlyArray<readonly [KnownChunks.KnownChunksCheck, string, (file: string) => void]> = [
  ["register", "missing", (file) => rmSync(file)],
  ["finish", "condemned", (file) => renameSync(file, `${file}.0.bad`)],
  ["both", "empty", (file) => writeFileSync(file, "")]
]

describe("known chunks of the previous snapshot", () => {
  for (const [knownChunks, loss, lose] of losses) {
    it.live(`fail a backup, mark the snapshot, and come back (${knownChunks}, ${loss})`, () =>
      Effect.gen(function* () {
        const base = yield* newStore
        const first = (yield* inStore(base)(backUp("", image(["a", "b", "c"])))).summary.snapshot
        lose(chunkFileOf(base, digestOf("b")))
        yield* inStore(base)(
          Effect.gen(function* () {
            const error = yield* fails({ ...image(["a", "b", "new"]), knownChunks })
            assert.deepStrictEqual(error.digests, [digestOf("b")])
            assert.deepInclude(error, { count: 1, previous: Snapshot.format(first), isMarked: true })
            assert.include(error.message, `chunk ${digestOf("b")} of ${error.previous} is missing or empty`)
            assert.include(error.hint, "run the backup again: ")
            yield* assertMarked(first)
            assert.strictEqual(snapshotsIn(base), 1, "nothing of it stays")
            const isEarly = knownChunks !== "finish"
            assert.strictEqual(existsSync(chunkFileOf(base, digestOf("new"))), !isEarly, "not even a chunk")

            const again = (yield* backUp("", { ...image(["a", "b", "c"]), knownChunks })).summary
            assert.isUndefined(again.previous)
            assert.strictEqual(again.statistics.reusedChunks, 0, "everything is uploaded")
            assert.strictEqual(again.statistics.newChunks, 1)
            yield* assertVerified()
          })
        )
      })
    )
  }

  it.live("are not looked at when nobody wants it, and at the wanted moment only", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* inStore(base)(
        Effect.gen(function* () {
          const first = (yield* backUp("", image(["a", "b"]))).summary.snapshot
          removeChunk(base, digestOf("a"))
          const blind = (yield* backUp("", { ...image(["a", "b"]), knownChunks: "off" })).summary
          assert.strictEqual(blind.statistics.reusedChunks, 2)
          // Gone, but the new backup has nothing in it: nobody needs it at the end.
          const other = (yield* backUp("", { ...image(["b", "x"]), knownChunks: "finish" })).summary
          assert.deepStrictEqual(other.previous, blind.snapshot)
          assert.isUndefined(yield* stateOf(first))
          const lose = () => removeChunk(base, digestOf("b"))
          const late = (yield* backUp("", { ...image(["b"], lose), knownChunks: "register" })).summary
          assert.isUndefined(yield* stateOf(late.snapshot))
        })
      )
    })
  )

  it.live("fail the backup at its end when they vanish while it runs", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* inStore(base)(
        Effect.gen(function* () {
          const seeds = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
          const first = (yield* backUp("", image(seeds))).summary.snapshot
          const lose = () => seeds.slice(1).forEach((seed) => removeChunk(base, digestOf(seed)))
          const error = yield* fails(image(seeds, lose))
          assert.strictEqual(error.count, 11)
          assert.strictEqual(error.digests.length, 10)
          assert.match(error.message, /^host\/test\/\S+: chunk \w{64} and 10 others of host\/test\/\S+ are /)
          yield* assertMarked(first)
          assert.strictEqual(snapshotsIn(base), 1)
          yield* backUp("", image(seeds))
          yield* assertVerified()
        })
      )
    })
  )

  it.live("of a snapshot without key or with one: the mark leaves its signature alone", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const crypt = keyOf(7)
      const options = { key: { crypt, mode: "encrypt" } } as const
      yield* inStore(base)(
        Effect.gen(function* () {
          const first = (yield* backUp("", { ...image(["a", "b"]), ...options })).summary.snapshot
          rmSync(chunkFiles(base)[1] ?? "")
          const error = yield* fails({ ...image(["a", "b"]), ...options })
          assert.isTrue(error.isMarked)
          yield* assertMarked(first)
          assert.strictEqual(Manifest.verifySignature(yield* manifestOf(first), crypt), "valid")
          yield* backUp("", { ...image(["a", "b"]), ...options })
          yield* assertVerified(crypt)
        })
      )
    })
  )
})

describe("metadata change detection", () => {
  it.live(
    "looks at each chunk it takes over once, and leaves that to the session where the session does it",
    () =>
      Effect.gen(function* () {
        const base = yield* newStore
        const root = yield* sampleTree
        for (const knownChunks of ["off", "off", "finish", "register", "both"] as const) {
          let looks = 0
          const before: Hooks["before"] = (operation, path) =>
            Effect.sync(() => {
              if (path.includes("/.chunks/") && operation.startsWith("stat")) looks++
            })
          const { summary } = yield* inHookedStore(base, { before })(backUp(root, { knownChunks }))
          if (summary.previous === undefined) continue
          assert.strictEqual(summary.entries.reusedFiles, 40)
          // New chunks are looked at one by one; every other look is one of many chunks.
          const { duplicateChunks, newChunks } = summary.statistics
          const proofs = looks - newChunks * 2 - duplicateChunks
          assert.strictEqual(proofs, { off: 1, finish: 2, register: 1, both: 2 }[knownChunks], knownChunks)
        }
      })
  )

  it.live("stores what was in a chunk anew when nobody has proven that it is there", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      for (const knownChunks of ["off", "finish"] as const) {
        yield* inStore(base)(backUp(root))
        chunkFiles(base)
          .filter((file) => statSync(file).size > 100_000)
          .forEach((file) => rmSync(file))
        const { summary } = yield* inStore(base)(backUp(root, { knownChunks }))
        assert.isBelow(summary.entries.reusedFiles, 40)
        yield* inStore(base)(assertVerified())
      }
    })
  )
})

describe("chunks that the previous snapshot has nothing to do with", () => {
  it.live("fail the backup when they vanish while it runs, and nobody is blamed", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* inStore(base)(
        Effect.gen(function* () {
          const group = BackupGroup.make("host", "other")
          yield* backUp("", { ...image(["theirs"]), group })
          const first = (yield* backUp("", image(["a"]))).summary.snapshot
          for (const [seed, reusePrevious] of [
            ["own", true],
            ["theirs", true],
            ["a", false]
          ] as const) {
            const lose = () => removeChunk(base, digestOf(seed))
            const error = yield* fails({ ...image(["a", "own", "theirs"], lose), reusePrevious })
            assert.deepStrictEqual(error.digests, [digestOf(seed)])
            assert.deepInclude(error, { previous: undefined, isMarked: false })
            assert.include(error.message, `chunk ${digestOf(seed)} vanished while this backup ran`)
            assert.isUndefined(yield* stateOf(first))
            yield* backUp("", { ...image(["theirs"]), group, reusePrevious: false })
          }
          assert.strictEqual(snapshotsIn(base), 1)
        })
      )
    })
  )
})

describe("trouble with the proof itself", () => {
  it.live("fails the backup and blames nobody", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const first = (yield* inStore(base)(backUp("", image(["a"])))).summary.snapshot
      const before: Hooks["before"] = (operation, path) =>
        operation === "statEach" ? ioError("stat", path) : Effect.void
      const error = yield* Effect.flip(inHookedStore(base, { before })(backUp("", image(["a"]))))
      assert.deepInclude(error, { _tag: "FilesError", reason: "Io" })
      assert.isUndefined(yield* inStore(base)(stateOf(first)))
      assert.strictEqual(snapshotsIn(base), 1)
    })
  )

  it.live("a snapshot that cannot be marked is told, and how to go on without it", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const first = (yield* inStore(base)(backUp("", image(["a"])))).summary.snapshot
      removeChunk(base, digestOf("a"))
      const before: Hooks["before"] = (operation, path) =>
        operation === "replaceFile" && path.endsWith("index.json.blob") ? ioError("write", path) : Effect.void
      const error = yield* inHookedStore(base, { before })(fails(image(["a"])))
      assert.isFalse(error.isMarked)
      assert.include(error.message, "could not be marked")
      assert.include(error.hint, "--no-reuse")
      yield* inStore(base)(
        Effect.gen(function* () {
          assert.isUndefined(yield* stateOf(first))
          yield* backUp("", { ...image(["a"]), reusePrevious: false })
          yield* assertVerified()
        })
      )
    })
  )
})

describe("the set of known chunks", () => {
  const bytesOf = (number: number): Uint8Array => hash("sha256", String(number), "buffer")
  const numbersIn = (digests: Uint8Array): ReadonlyArray<string> =>
    Array.from({ length: digests.length / 32 }, (_, at) => Digest.fromBytes(digests, at * 32)).toSorted()
  const hexOf = (numbers: Iterable<number>): ReadonlyArray<string> =>
    [...numbers].map((number) => Digest.fromBytes(bytesOf(number))).toSorted()

  it("remembers who named what, also of what was deleted in between", () => {
    const step = FastCheck.tuple(FastCheck.constantFrom("register", "add", "delete"), FastCheck.nat(5))
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 60 }), (steps) => {
        const known = new KnownChunks.KnownChunks()
        const [present, registered, used] = [new Set<number>(), new Set<number>(), new Set<number>()]
        for (const [what, number] of steps) {
          const digest = bytesOf(number)
          if (what === "register") {
            known.register(digest)
            present.add(number)
            registered.add(number)
          } else if (what === "add") {
            assert.strictEqual(known.add(digest), !present.has(number))
            present.add(number)
            used.add(number)
          } else {
            known.delete(digest)
            present.delete(number)
            registered.delete(number)
          }
          assert.strictEqual(known.has(digest), present.has(number))
          assert.strictEqual(known.isRegistered(digest), registered.has(number))
        }
        assert.deepStrictEqual(numbersIn(known.digestsAt("register")), hexOf(registered))
        assert.deepStrictEqual(numbersIn(known.digestsAt("finish")), hexOf(used))
      })
    )
  })

  it("plans what its mode says", () => {
    const known = new KnownChunks.KnownChunks(1)
    known.register(bytesOf(1))
    known.register(bytesOf(2))
    known.add(bytesOf(2))
    known.add(bytesOf(3))
    const planned = (check: KnownChunks.KnownChunksCheck) =>
      (["register", "finish"] as const).map((moment) =>
        numbersIn(KnownChunks.plan(known, check, moment).digests)
      )
    const [atRegister, atFinish] = [hexOf([1, 2]), hexOf([2, 3])]
    assert.deepStrictEqual(planned("off"), [[], []])
    assert.deepStrictEqual(planned("register"), [atRegister, []])
    assert.deepStrictEqual(planned("finish"), [[], atFinish])
    assert.deepStrictEqual(planned("both"), [atRegister, atFinish])
  })
})
