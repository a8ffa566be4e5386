/** What both ports promise, on every kind of store that stands behind them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type * as Snapshot from "../../src/model/Snapshot.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import { type SyncError, syncError } from "../../src/sync/SyncError.ts"
import type { TargetWriter } from "../../src/sync/SyncTarget.ts"
import { archive, digestOfText, owner, play, Scene, snapshotOf, snapshotsOf } from "./scene.ts"

const group = BackupGroup.parse("vm/100")
const day = (number: number): Snapshot.Snapshot => snapshotOf("vm/100", number)

const reasonOf = <A, R>(effect: Effect.Effect<A, SyncError, R>) =>
  Effect.match(effect, { onFailure: ({ reason }) => reason as string, onSuccess: () => "success" })

const sources = ["folder", "bucket", "bucket without a folder"] as const

const openSource = (scene: Scene, kind: (typeof sources)[number]) =>
  Effect.map(
    kind === "bucket without a folder" ? scene.source.openWithoutFolder() : scene.source.open("reader"),
    DatastoreSource.make
  )

describe("a source", () => {
  for (const kind of sources) {
    it(`in a ${kind} lists and opens what is there, and says what is not`, () => {
      const scene = new Scene(kind === "folder" ? "folder" : "bucket")
      const crypt = CryptConfig.fromKey(new Uint8Array(32).fill(7))
      play(
        Effect.scoped(
          Effect.gen(function* () {
            yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["a", "b"]])
            const key = { crypt, mode: "encrypt" } as const
            yield* scene.backUp(scene.source, {
              group: "host/h",
              day: 0,
              texts: ["x"],
              key,
              namespace: "n/m",
              clientLog: "log"
            })
            const source = yield* openSource(scene, kind)
            const below = Namespace.parse("n/m")
            assert.deepStrictEqual(
              yield* source.namespaces(Namespace.root),
              ["", "n", "n/m"].map(Namespace.parse)
            )
            assert.deepStrictEqual(
              yield* source.namespaces(Namespace.root, 1),
              ["", "n"].map(Namespace.parse)
            )
            assert.strictEqual(yield* reasonOf(source.namespaces(Namespace.parse("o"))), "Missing")
            assert.deepStrictEqual(yield* source.groups(Namespace.root), [{ group, owner }])
            const listed = yield* source.snapshots(Namespace.root, group, { manifests: false })
            assert.deepStrictEqual(
              listed.map((one) => [one.snapshot.time, one.finished, one.protected, one.manifest]),
              [0, 1].map((number) => [day(number).time, true, false, undefined])
            )
            const [encrypted] = yield* source.snapshots(below, BackupGroup.parse("host/h"), {
              manifests: true
            })
            assert.deepInclude(encrypted?.manifest, { verified: "none", encrypted: "all" })
            const other = source.snapshots(Namespace.root, BackupGroup.parse("vm/1"), { manifests: false })
            assert.strictEqual(yield* reasonOf(other), "Missing")

            const opened = yield* source.openSnapshot(Namespace.root, day(1))
            const manifest = Manifest.decode(yield* opened.manifest)
            assert.strictEqual(manifest.files.length, 2)
            assert.isAbove((yield* opened.file(archive)).length, 4096)
            assert.strictEqual(yield* reasonOf(opened.file(ArchiveName.fromFile("no.img.fidx"))), "Missing")
            const blob = yield* opened.chunk(digestOfText("b"))
            assert.strictEqual(Buffer.from(DataBlob.decode(blob)).toString(), "b")
            assert.strictEqual(yield* reasonOf(opened.chunk(digestOfText("nobody has it"))), "Missing")
            assert.isUndefined(yield* opened.clientLog)
            const there = yield* source.openSnapshot(below, snapshotOf("host/h", 0))
            assert.strictEqual(Buffer.from((yield* there.clientLog) ?? "").toString(), "log")
            assert.strictEqual(yield* reasonOf(source.openSnapshot(Namespace.root, day(5))), "Missing")
          })
        )
      )
    })
  }

  it("keeps an open snapshot from being removed, and does not open one that is", () => {
    const scene = new Scene()
    play(
      Effect.scoped(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [["a"]])
          const store = yield* scene.source.open("other")
          const source = DatastoreSource.make(store)
          const busy = Effect.result(store.forget(Namespace.root, day(0)))
          yield* Effect.scoped(Effect.andThen(source.openSnapshot(Namespace.root, day(0)), busy)).pipe(
            Effect.map((result) => assert.strictEqual(result._tag, "Failure"))
          )
          const name = `snapshot vm/100/${day(0).directory}`
          const reason = yield* Effect.scoped(
            Effect.andThen(
              store.locks.hold(name, "exclusive"),
              reasonOf(source.openSnapshot(Namespace.root, day(0)))
            )
          )
          assert.strictEqual(reason, "Busy")
        })
      )
    )
  })
})

const encode = (text: string, crypt?: CryptConfig.CryptConfig): Uint8Array =>
  DataBlob.encode(Buffer.from(text), { compress: false, ...(crypt === undefined ? {} : { crypt }) })

const rowOf = (...texts: ReadonlyArray<string>): Uint8Array =>
  Buffer.concat(texts.map((text) => Digest.toBytes(digestOfText(text))))

const writing = <A, E, R>(
  kind: "folder" | "bucket",
  use: (writer: TargetWriter, scene: Scene) => Effect.Effect<A, E, R>
) => {
  const scene = new Scene("folder", kind)
  for (const text of ["a", "b", "c", "x"]) scene.prepareFor(digestOfText(text))
  return Effect.andThen(
    scene.backUp(scene.target, { group: "host/other", day: 0, texts: ["a"] }),
    scene.ends(({ target }) =>
      Effect.scoped(Effect.flatMap(target.beginWriting, (writer) => use(writer, scene)))
    )
  )
}

for (const kind of ["folder", "bucket"] as const) {
  describe(`a target in a ${kind}`, () => {
    const store = (writer: TargetWriter, text: string, blob: Uint8Array, more: object = {}) =>
      writer.store({
        digest: digestOfText(text),
        sizeBytes: text.length,
        encrypted: false,
        fetch: Effect.succeed(blob),
        archive: { name: ArchiveName.fromClient("root.pxar"), sizeBytes: text.length },
        ...more
      })

    it("claims what is there, and stores what is not, once it is proven", () => {
      play(
        writing(kind, (writer) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* writer.claim(rowOf("b", "a", "c")), [0, 2])
            const stored = yield* store(writer, "b", encode("b"))
            assert.deepStrictEqual(stored, { outcome: "stored", encodedBytes: encode("b").length })
            assert.deepStrictEqual(yield* writer.claim(rowOf("b", "a")), [])
            const refused: ReadonlyArray<readonly [blob: Uint8Array, more: object]> = [
              [encode("other"), {}],
              [encode("c"), { sizeBytes: 2 }],
              [encode("c"), { encrypted: true }],
              [encode("c", CryptConfig.fromKey(new Uint8Array(32))), {}],
              [encode("c").subarray(0, 8), {}],
              [Buffer.from("no blob at all"), {}],
              [encode("c").map((byte, at) => (at === 9 ? byte ^ 1 : byte)), {}]
            ]
            for (const [blob, more] of refused) {
              assert.strictEqual(yield* reasonOf(store(writer, "c", blob, more)), "Corrupt")
            }
            const failing = store(writer, "c", encode("c"), {
              fetch: Effect.fail(syncError("Unavailable", ""))
            })
            assert.strictEqual(yield* reasonOf(failing), "Unavailable")
            assert.deepStrictEqual(yield* writer.claim(rowOf("c")), [0])
          })
        )
      )
    })

    it("holds groups and snapshots, and leaves nothing of one that was not finished", () => {
      play(
        writing(kind, (writer, scene) =>
          Effect.gen(function* () {
            const open = Effect.andThen(
              writer.openGroup(Namespace.root, group, owner),
              writer.openSnapshot(Namespace.root, day(0))
            )
            const blob = encode("conf")
            const conf = ArchiveName.fromFile("a.conf.blob")
            yield* Effect.scoped(
              Effect.gen(function* () {
                const snapshot = yield* open
                yield* snapshot.putFile(conf, blob)
                const again = Effect.scoped(writer.openGroup(Namespace.root, group, owner))
                assert.strictEqual(yield* reasonOf(again), "Busy")
              })
            )
            assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["host/other@0"])
            const manifest = Manifest.make(day(0), [
              { filename: conf.file, cryptMode: "none", sizeBytes: blob.length, csum: digestOfText("") }
            ])
            yield* Effect.scoped(
              Effect.gen(function* () {
                const snapshot = yield* open
                const early = yield* reasonOf(snapshot.finish(Manifest.encode(manifest)))
                assert.strictEqual(early, "Refused", "it names what was never stored")
                yield* snapshot.putFile(conf, blob)
                const foreign = Manifest.encode(Manifest.make(day(1), manifest.files))
                assert.strictEqual(yield* reasonOf(snapshot.finish(foreign)), "Corrupt")
                yield* snapshot.finish(Manifest.encode(manifest))
              })
            )
            yield* Effect.scoped(
              Effect.gen(function* () {
                const snapshot = yield* open
                assert.isDefined(snapshot.manifest)
                assert.deepStrictEqual([...snapshot.fileNames].toSorted(), ["a.conf.blob", "index.json.blob"])
                assert.deepStrictEqual(yield* snapshot.file(conf), blob)
                assert.isUndefined(yield* snapshot.file(archive))
                yield* snapshot.putFile(ArchiveName.fromFile("b.conf.blob"), blob)
                yield* snapshot.removeFile(ArchiveName.fromFile("b.conf.blob"))
              })
            )
            assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["host/other@0", "vm/100@0"])
            yield* writer.forget(Namespace.root, day(0))
            assert.strictEqual(yield* reasonOf(writer.forget(Namespace.root, day(0))), "Missing")
            assert.isFalse(yield* writer.removeNamespaceIfEmpty(Namespace.root))
          })
        )
      )
    })
  })
}
