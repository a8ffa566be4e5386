import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { counting } from "./hooked.ts"
import { archive, digestOfText, inStore, play, Scene, snapshotOf, snapshotsOf, type Store } from "./scene.ts"

const key = CryptConfig.fromKey(new Uint8Array(32).fill(1))
const otherKey = CryptConfig.fromKey(new Uint8Array(32).fill(2))
const group = "vm/100"

/** What a restore with that key gets. */
const read = (store: Store, day: number, crypt: CryptConfig.CryptConfig | undefined) =>
  inStore(store, ({ chunks, snapshotFiles }) =>
    Effect.gen(function* () {
      const snapshot = snapshotOf(group, day)
      const manifest = yield* snapshotFiles.manifest(Namespace.root, snapshot)
      const index = yield* snapshotFiles.index(Namespace.root, snapshot, archive)
      assert.strictEqual(manifest.files[0]?.csum, index.computeChecksum())
      const texts: Array<string> = []
      for (let chunk = 0; chunk < index.count; chunk++) {
        const sizeBytes = index.end(chunk) - index.start(chunk)
        const data = yield* chunks.read({ digest: index.digest(chunk), sizeBytes, crypt })
        texts.push(Buffer.from(data).toString())
      }
      const blob = yield* snapshotFiles.read(Namespace.root, snapshot, "a.conf.blob")
      const conf = DataBlob.decode(blob, crypt === undefined ? {} : { crypt })
      return { manifest, texts, conf: Buffer.from(conf).toString() }
    })
  )

const prepareAll = (scene: Scene, ...texts: ReadonlyArray<string>): void => {
  for (const text of texts) for (const crypt of [undefined, key]) scene.prepareFor(digestOfText(text, crypt))
}

const note = (store: Store, day: number, notes: string) =>
  inStore(store, ({ snapshotFiles }) =>
    snapshotFiles.updateManifest(Namespace.root, snapshotOf(group, day), (manifest) =>
      ManifestNotes.withNotes(manifest, notes)
    )
  )

describe("a push with a key", () => {
  it("encrypts and signs, fetches each chunk once, and leaves the source alone", () => {
    const scene = new Scene()
    prepareAll(scene, "a", "b", "c")
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, group, [
          ["a", "b", "a"],
          ["b", "c"]
        ])
        const { around, read: fetched } = counting()
        const push = { direction: "push", encryptWith: key } as const
        const { counts, failedGroups } = yield* scene.sync(push, around)
        assert.strictEqual(failedGroups, 0)
        assert.strictEqual(counts.chunks, 3)
        assert.strictEqual(new Set(fetched).size, fetched.length)
        const { conf, manifest, texts } = yield* read(scene.target, 1, key)
        assert.deepStrictEqual(texts, ["b", "c"])
        assert.strictEqual(conf, "conf 1")
        assert.strictEqual(Manifest.verifySignature(manifest, key), "valid")
        assert.deepStrictEqual(
          manifest.files.map(({ cryptMode }) => cryptMode),
          ["encrypt", "encrypt"]
        )
        assert.deepStrictEqual((yield* read(scene.target, 0, key)).texts, ["a", "b", "a"])
        assert.strictEqual((yield* scene.sync(push)).counts.copiedSnapshots, 0)
      })
    )
  })

  it("forwards what is encrypted, and passes over what is so in parts", () => {
    const scene = new Scene()
    prepareAll(scene, "a", "b", "c")
    play(
      Effect.gen(function* () {
        const input = { group, key: { crypt: otherKey, mode: "encrypt" } } as const
        yield* scene.backUp(scene.source, { ...input, day: 0, texts: ["a"] })
        yield* scene.backUp(scene.source, { ...input, day: 1, texts: ["b"] })
        // One of the files says that it is not encrypted.
        yield* inStore(scene.source, ({ snapshotFiles }) =>
          snapshotFiles.updateManifest(Namespace.root, snapshotOf(group, 1), ({ files, snapshot }) =>
            Manifest.make(
              snapshot,
              files.map((file, number) => (number === 0 ? file : { ...file, cryptMode: "none" }))
            )
          )
        )
        const { groups } = yield* scene.sync({ direction: "push", encryptWith: key })
        assert.deepStrictEqual(groups[0]?.skipped, { "partly encrypted": 1 })
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0"])
        assert.deepStrictEqual((yield* read(scene.target, 0, otherKey)).texts, ["a"])
      })
    )
  })
})

describe("a pull with keys", () => {
  const encrypted = { crypt: key, mode: "encrypt" } as const

  it("decrypts what one of them fits, and knows it again", () => {
    const scene = new Scene()
    prepareAll(scene, "a", "b")
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group, day: 0, texts: ["a", "b"], key: encrypted })
        const pull = { decryptWith: [otherKey, key] }
        yield* scene.sync(pull)
        const first = yield* read(scene.target, 0, undefined)
        assert.deepStrictEqual(first.texts, ["a", "b"])
        assert.strictEqual(first.conf, "conf 0")
        assert.isNull(first.manifest.signature)
        assert.isUndefined(Manifest.keyFingerprint(first.manifest))
        assert.deepInclude((yield* scene.sync(pull)).counts, { checkedSnapshots: 1, files: 0, chunks: 0 })
        yield* note(scene.source, 0, "words")
        const log = DataBlob.encode(Buffer.from("log"), { compress: false, crypt: key })
        yield* inStore(scene.source, ({ snapshotFiles }) =>
          snapshotFiles.write(Namespace.root, snapshotOf(group, 0), ArchiveName.clientLogFile, log)
        )
        const { around, read: fetched } = counting()
        yield* scene.sync(pull, around)
        assert.isEmpty(fetched)
        const { manifest } = yield* read(scene.target, 0, undefined)
        assert.strictEqual(ManifestNotes.notes(manifest), "words")
        assert.deepStrictEqual(manifest.files, first.manifest.files)
        const copied = yield* inStore(scene.target, ({ snapshotFiles }) =>
          snapshotFiles.read(Namespace.root, snapshotOf(group, 0), ArchiveName.clientLogFile)
        )
        assert.strictEqual(Buffer.from(DataBlob.decode(copied)).toString(), "log")
      })
    )
  })

  it("forwards what none of them fits", () => {
    const scene = new Scene()
    prepareAll(scene, "a")
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group, day: 0, texts: ["a"], key: encrypted })
        yield* scene.sync({ decryptWith: [otherKey] })
        assert.deepStrictEqual((yield* read(scene.target, 0, key)).texts, ["a"])
      })
    )
  })

  it("refuses a manifest whose signature does not fit, and a chunk that is not what it says", () => {
    const scene = new Scene()
    prepareAll(scene, "a", "b")
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group, day: 0, texts: ["a"], key: encrypted })
        yield* inStore(scene.source, ({ snapshotFiles }) =>
          snapshotFiles.updateManifest(Namespace.root, snapshotOf(group, 0), ({ raw }) =>
            Manifest.fromJson({ ...raw, signature: "0".repeat(64) })
          )
        )
        yield* scene.backUp(scene.source, { group: "vm/101", day: 0, texts: ["b"], key: encrypted })
        const digest = digestOfText("b", key)
        const other = DataBlob.encode(Buffer.from("x"), { compress: false, crypt: key })
        scene.source.disk.put(`/source/.chunks/${digest.slice(0, 4)}/${digest}`, other)
        const { groups } = yield* scene.sync({ decryptWith: [key] })
        assert.deepStrictEqual(
          groups.map(({ error }) => error?.reason),
          ["Corrupt", "Corrupt"]
        )
        assert.match(groups[0]?.error?.detail ?? "", /signature/)
        assert.isEmpty(yield* snapshotsOf(scene.target))
      })
    )
  })

  it("and another key meets what was made with the first", () => {
    const scene = new Scene()
    prepareAll(scene, "a")
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group, day: 0, texts: ["a"], key: encrypted })
        yield* scene.sync({ decryptWith: [key] })
        const { groups } = yield* scene.sync()
        assert.strictEqual(groups[0]?.error?.reason, "Conflict")
      })
    )
  })
})
