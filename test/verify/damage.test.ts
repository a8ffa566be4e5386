/** Verify: each kind of damage gives its error, renames only what is known to be wrong, and heals by a new upload. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { crc32 } from "node:zlib"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import type { CryptMode } from "../../src/model/CryptMode.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type { Files } from "../../src/platform/Files.ts"
import * as NodeChunkCodec from "../../src/platform/NodeChunkCodec.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { goldenKey } from "../datastore/goldenStores.ts"
import { hookedPlatform, platform } from "../store/stores.ts"
import { ioError } from "../store/HookedFiles.ts"
import { digestOfFile, flip, openCopy, reopened, rewriteManifest, type Scene, snapshots } from "./scenes.ts"

const threads = Layer.mergeAll(NodeChunkCodec.layer({ threads: 1 }), NodeFiles.layer, NodeFileLocks.layer)

const otherKey = CryptConfig.fromKey(new Uint8Array(32).fill(9))

const inScene = (title: string, test: (scene: Scene) => Effect.Effect<void, unknown, Files>): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      yield* test(yield* openCopy)
    }).pipe(Effect.provide(platform))
  )

const bads = (chunkFile: string): ReadonlyArray<string> =>
  fs.readdirSync(dirname(chunkFile)).filter((name) => name.endsWith(".bad"))

/** The snapshots that share the chunks of plain content. */
const plainOnes = [
  "ct/102/2024-02-29T12:34:56Z",
  "ct/103/2024-02-29T12:34:56Z",
  "host/v1-plain/2024-01-02T00:00:00Z"
]

const statesOf = (states: Readonly<Record<string, string>>, state: string): ReadonlyArray<string> =>
  Object.keys(states)
    .filter((name) => states[name] === state)
    .toSorted()

describe("Verify of damaged chunks", () => {
  const damages: ReadonlyArray<readonly [string, string, (path: string) => void]> = [
    ["a flipped byte in the payload", "is corrupt", (path) => flip(path, 40)],
    ["a flipped byte in the checksum", "is corrupt", (path) => flip(path, 9)],
    ["a flipped byte in the magic", "is corrupt", (path) => flip(path, 0)],
    ["a chunk cut short", "is corrupt", (path) => fs.truncateSync(path, 60)],
    ["an empty chunk", "is corrupt", (path) => fs.truncateSync(path, 0)]
  ]
  for (const [name, message, damage] of damages) {
    inScene(`${name}: all who name it fail, it is renamed once, and a new upload heals`, (scene) =>
      Effect.gen(function* () {
        const file = yield* scene.chunkFile("plain")
        const digest = digestOfFile(file)
        const good = fs.readFileSync(file)
        damage(file)
        const found = yield* scene.verify()
        assert.deepStrictEqual(statesOf(found.states, "failed"), plainOnes)
        const texts = Object.values(found.errors).flat()
        assert.strictEqual(texts.length, 3)
        assert.strictEqual(texts.filter((text) => text.includes(message)).length, 1)
        assert.strictEqual(texts.filter((text) => text.includes("known to be bad")).length, 2)
        assert.isTrue(texts.some((text) => text.includes(`kept as ${digest}.0.bad`)))
        assert.deepStrictEqual(bads(file), [`${digest}.0.bad`])
        assert.isFalse(fs.existsSync(file))
        assert.strictEqual(found.statistics.corrupt, 1)
        assert.strictEqual((yield* scene.verifyState("plain"))?.state, "failed")
        assert.strictEqual((yield* scene.verifyState("encrypted"))?.state, "ok")

        const missing = yield* scene.verify()
        assert.deepStrictEqual(statesOf(missing.states, "failed"), plainOnes)
        assert.strictEqual(missing.statistics.missing, 1)
        assert.isFalse((yield* scene.store.chunks.insertEncoded(digest, good)).duplicate)
        const healed = yield* scene.verify()
        assert.deepStrictEqual(statesOf(healed.states, "failed"), [])
        assert.strictEqual((yield* scene.verifyState("plain"))?.state, "ok")
        assert.deepStrictEqual(bads(file), [`${digest}.0.bad`])
      })
    )
  }

  inScene("a missing chunk is told, and nothing is renamed", (scene) =>
    Effect.gen(function* () {
      const file = yield* scene.chunkFile("plain")
      fs.rmSync(file)
      const found = yield* scene.verify()
      assert.deepStrictEqual(statesOf(found.states, "failed"), plainOnes)
      assert.isTrue(
        Object.values(found.errors)
          .flat()
          .some((text) => text.endsWith("is missing"))
      )
      assert.deepStrictEqual(fs.readdirSync(dirname(file)), [])
    })
  )

  inScene("two chunks that changed places are both condemned", (scene) =>
    Effect.gen(function* () {
      const file = yield* scene.chunkFile("plain")
      const catalog = yield* scene.store.snapshotFiles.index(
        Namespace.root,
        snapshots.plain,
        ArchiveName.catalog
      )
      const other = `${dirname(dirname(file))}/${catalog.digest(0).slice(0, 4)}/${catalog.digest(0)}`
      const [one, two] = [fs.readFileSync(file), fs.readFileSync(other)]
      fs.writeFileSync(file, two)
      fs.writeFileSync(other, one)
      const found = yield* scene.verify()
      assert.strictEqual(found.statistics.corrupt, 2)
      assert.strictEqual(bads(file).length + bads(other).length, 2)
    })
  )
})

describe("Verify of encrypted chunks", () => {
  for (const [name, crypt, expected] of [
    ["without the key", undefined, "ok"],
    ["with another key", otherKey, "ok"],
    ["with the key", goldenKey, "failed"]
  ] as const) {
    inScene(`a tag that was changed is noticed with the key only, and condemns nothing: ${name}`, (scene) =>
      Effect.gen(function* () {
        const file = yield* scene.chunkFile("encrypted")
        flip(file, 30)
        const { states, errors } = yield* scene.verify(crypt)
        assert.strictEqual(states["ct/100/2024-02-29T12:34:56Z"], expected)
        if (expected === "failed") assert.include(errors["100 root.pxar.didx"]?.[0], "cannot be decrypted")
        assert.deepStrictEqual(bads(file), [])
      })
    )

    inScene(`another chunk's content is noticed with the key only: ${name}`, (scene) =>
      Effect.gen(function* () {
        const file = yield* scene.chunkFile("encrypted")
        const index = yield* scene.store.snapshotFiles.index(
          Namespace.root,
          snapshots.encrypted,
          ArchiveName.catalog
        )
        const other = index.digest(0)
        fs.copyFileSync(`${scene.path}/.chunks/${other.slice(0, 4)}/${other}`, file)
        const { states } = yield* scene.verify(crypt)
        assert.strictEqual(states["ct/100/2024-02-29T12:34:56Z"], expected)
        assert.strictEqual(bads(file).length, expected === "failed" ? 1 : 0)
      })
    )

    inScene(`a checksum that does not fit condemns whatever the key: ${name}`, (scene) =>
      Effect.gen(function* () {
        const file = yield* scene.chunkFile("encrypted")
        flip(file, 60)
        const { states } = yield* scene.verify(crypt)
        assert.strictEqual(states["ct/100/2024-02-29T12:34:56Z"], "failed")
        assert.strictEqual(bads(file).length, 1)
      })
    )
  }

  inScene(
    "a plain chunk under an encrypted archive, and the reverse, are errors that condemn nothing",
    (scene) =>
      Effect.gen(function* () {
        const withMode = (mode: CryptMode) => (manifest: Manifest.Manifest) =>
          Manifest.make(
            manifest.snapshot,
            manifest.files.map((file) => ({ ...file, cryptMode: mode }))
          )
        yield* rewriteManifest(scene, "plain", withMode("encrypt"))
        yield* rewriteManifest(scene, "encrypted", withMode("none"))
        const { states, errors } = yield* scene.verify()
        assert.deepStrictEqual(statesOf(states, "failed"), [
          "ct/100/2024-02-29T12:34:56Z",
          "ct/103/2024-02-29T12:34:56Z"
        ])
        assert.include(errors["103 root.pxar.didx"]?.[0], "is not encrypted, against what the manifest says")
        assert.include(
          errors["100 root.pxar.didx"]?.[0],
          "is encrypted, against what the manifest says (none)"
        )
        for (const name of ["plain", "encrypted"] as const) {
          assert.deepStrictEqual(bads(yield* scene.chunkFile(name)), [])
        }
      })
  )
})

describe("Verify of indexes, blobs and manifests", () => {
  inScene("an index whose checksum is not the manifest's", (scene) =>
    Effect.gen(function* () {
      const path = scene.file("plain", "root.pxar.didx")
      flip(path, 4096 + 20)
      const { states, errors } = yield* scene.verify()
      assert.strictEqual(states["ct/103/2024-02-29T12:34:56Z"], "failed")
      assert.include(errors["103 root.pxar.didx"]?.[0], "checksum of the index")
      assert.deepStrictEqual(Object.keys(errors), ["103 root.pxar.didx"])
    })
  )

  inScene("an index that gives a chunk another length condemns nothing and harms nobody else", (scene) =>
    Effect.gen(function* () {
      const path = scene.file("plain", "root.pxar.didx")
      const index = fs.readFileSync(path)
      index.writeBigUInt64LE(index.readBigUInt64LE(4096) - 1n, 4096)
      fs.writeFileSync(path, index)
      const read = yield* scene.store.snapshotFiles.index(
        Namespace.root,
        snapshots.plain,
        ArchiveName.fromFile("root.pxar.didx")
      )
      yield* rewriteManifest(scene, "plain", (manifest) =>
        Manifest.make(
          manifest.snapshot,
          manifest.files.map((file) =>
            file.filename === "root.pxar.didx"
              ? { ...file, sizeBytes: read.sizeBytes, csum: read.computeChecksum() }
              : file
          )
        )
      )
      const { states, errors } = yield* scene.verify()
      assert.deepStrictEqual(statesOf(states, "failed"), ["ct/103/2024-02-29T12:34:56Z"])
      assert.strictEqual(errors["103 root.pxar.didx"]?.length, 1)
      assert.deepStrictEqual(bads(yield* scene.chunkFile("plain")), [])
    })
  )

  inScene("an index that is missing, damaged, or foreign", (scene) =>
    Effect.gen(function* () {
      fs.rmSync(scene.file("plain", "root.pxar.didx"))
      fs.truncateSync(scene.file("signed", "root.pxar.didx"), 4096 + 39)
      fs.writeFileSync(scene.file("host", "root.pxar.didx"), "nonsense")
      const { states, errors } = yield* scene.verify()
      assert.deepStrictEqual(statesOf(states, "failed"), plainOnes)
      assert.include(errors["103 root.pxar.didx"]?.[0], "there is no such file")
      assert.strictEqual(errors["102 root.pxar.didx"]?.length, 1)
      assert.strictEqual(errors["v1-plain root.pxar.didx"]?.length, 1)
    })
  )

  inScene("a blob of another length, with other content, or whose checksum lies", (scene) =>
    Effect.gen(function* () {
      fs.appendFileSync(scene.file("plain", "pct.conf.blob"), "x")
      flip(scene.file("signed", "pct.conf.blob"), 20)
      const lying = fs.readFileSync(scene.file("host", "pct.conf.blob"))
      lying.writeUInt32LE(crc32(lying.subarray(12)) ^ 1, 8)
      fs.writeFileSync(scene.file("host", "pct.conf.blob"), lying)
      const { errors } = yield* scene.verify()
      assert.include(errors["103 pct.conf.blob"]?.[0], "38 bytes, the manifest says 37")
      assert.include(errors["102 pct.conf.blob"]?.[0], "checksum is not the one in the manifest")
      assert.include(errors["v1-plain pct.conf.blob"]?.[0], "checksum")
    })
  )

  inScene("a damaged manifest fails its snapshot only, and is left as it is", (scene) =>
    Effect.gen(function* () {
      const path = scene.file("plain", "index.json.blob")
      flip(path, 50)
      const damaged = fs.readFileSync(path)
      const { states, errors } = yield* scene.verify()
      assert.deepStrictEqual(statesOf(states, "failed"), ["ct/103/2024-02-29T12:34:56Z"])
      assert.deepStrictEqual(Object.keys(errors), ["103 index.json.blob"])
      assert.deepStrictEqual(fs.readFileSync(path), damaged)
    })
  )

  inScene("the manifest of another snapshot fails", (scene) =>
    Effect.gen(function* () {
      fs.copyFileSync(scene.file("host", "index.json.blob"), scene.file("plain", "index.json.blob"))
      const { errors } = yield* scene.verify()
      assert.include(errors["103 index.json.blob"]?.[0], "belongs to host/v1-plain")
    })
  )
})

describe("Verify over trouble with reading", () => {
  it.live("a chunk that cannot be read fails those who name it, and is not renamed", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const file = yield* scene.chunkFile("plain")
      const before = (operation: string, path: string) =>
        operation === "readFile" && path === file ? Effect.fail(ioError("read", path)) : Effect.void
      yield* reopened(scene, hookedPlatform({ before }), (again) =>
        Effect.gen(function* () {
          const { states, errors, statistics } = yield* again.verify()
          assert.deepStrictEqual(statesOf(states, "failed"), plainOnes)
          assert.isTrue(
            Object.values(errors)
              .flat()
              .some((text) => text.includes("cannot be read"))
          )
          assert.strictEqual(statistics.unreadable, 1)
          assert.deepStrictEqual(bads(file), [])
        })
      )
    }).pipe(Effect.provide(platform))
  )

  for (const fileName of ["index.json.blob", "root.pxar.didx", "pct.conf.blob"]) {
    it.live(`${fileName} that cannot be read fails its snapshot, not the verification`, () =>
      Effect.gen(function* () {
        const scene = yield* openCopy
        const file = scene.file("plain", fileName)
        const before = (operation: string, path: string) =>
          operation === "readFile" && path === file ? Effect.fail(ioError("read", path)) : Effect.void
        yield* reopened(scene, hookedPlatform({ before }), (again) =>
          Effect.gen(function* () {
            const { states, errors } = yield* again.verify()
            assert.deepStrictEqual(statesOf(states, "failed"), ["ct/103/2024-02-29T12:34:56Z"])
            assert.include(errors[`103 ${fileName}`]?.[0], "EIO")
          })
        )
      }).pipe(Effect.provide(platform))
    )
  }

  it.live("a corrupt chunk that cannot be renamed is told, and the rest is verified", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const file = yield* scene.chunkFile("plain")
      flip(file, 40)
      const before = (operation: string, path: string) =>
        operation === "rename" && path === file ? Effect.fail(ioError("rename", path)) : Effect.void
      yield* reopened(scene, hookedPlatform({ before }), (again) =>
        Effect.gen(function* () {
          const { states, errors, statistics } = yield* again.verify()
          assert.deepStrictEqual(statesOf(states, "failed"), plainOnes)
          assert.isTrue(
            Object.values(errors)
              .flat()
              .some((text) => /is corrupt: .*could not be renamed/.test(text))
          )
          assert.strictEqual(statistics.chunks, 4)
          assert.isTrue(fs.existsSync(file))
        })
      )
    }).pipe(Effect.provide(platform))
  )

  it.live("worker threads come to the same verdicts", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const file = yield* scene.chunkFile("plain")
      flip(file, 40)
      yield* reopened(scene, threads, (again) =>
        Effect.gen(function* () {
          const { states } = yield* again.verify(goldenKey)
          assert.deepStrictEqual(statesOf(states, "failed"), plainOnes)
          assert.strictEqual(bads(file).length, 1)
        })
      )
    }).pipe(Effect.provide(platform))
  )
})
