import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createHash } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as KeyFile from "../../src/format/KeyFile.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { fileChunks } from "../../src/inspect/FileChunks.ts"
import { recognise } from "../../src/inspect/FileKind.ts"
import * as Inspect from "../../src/inspect/Inspect.ts"

const golden = join(import.meta.dirname, "../golden")
const scratch = mkdtempSync(join(tmpdir(), "granary-inspect-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const inspectPath = (path: string, options: Inspect.InspectOptions = {}) =>
  Inspect.inspect(path, options).pipe(Effect.provide(NodeFiles.layer))

const inspectGolden = (name: string, options?: Inspect.InspectOptions) =>
  inspectPath(join(golden, name), options)

const inspectBytes = (bytes: Uint8Array) => {
  const path = join(scratch, "file")
  writeFileSync(path, bytes)
  return inspectPath(path)
}

const read = (name: string): Buffer => readFileSync(join(golden, name))

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const fixedKey = CryptConfig.fromKey(KeyFile.unlock(KeyFile.decode(read("keys/fixed.key.json"))))

/** Narrows to one kind of result. */
const expectKind = <Kind extends Inspect.Inspection["kind"]>(found: Inspect.Inspection, kind: Kind) => {
  assert.strictEqual(found.kind, kind)
  return found as Inspect.Inspection & { readonly kind: Kind }
}

describe("inspect", () => {
  it.live("tells blobs and their data", () =>
    Effect.gen(function* () {
      const text = expectKind(yield* inspectGolden("blobs/text.compress-requested.blob"), "blob")
      assert.deepStrictEqual(
        [text.encoding, text.fileSizeBytes, text.isCrcGood, text.dataSizeBytes, text.digest, text.problem],
        ["zstd", 49, true, 700, sha256(read("blobs/text.bin")), undefined]
      )
      assert.isUndefined(text.manifest)
    })
  )

  it.live("opens encrypted blobs with the key, and tells what it can without", () =>
    Effect.gen(function* () {
      const name = "blobs/text.encrypted-compress-requested.blob"
      const closed = expectKind(yield* inspectGolden(name), "blob")
      assert.deepStrictEqual(
        [closed.encoding, closed.isCrcGood, closed.dataSizeBytes, closed.problem],
        ["encrypted-zstd", true, undefined, undefined]
      )
      const opened = expectKind(yield* inspectGolden(name, { crypt: fixedKey }), "blob")
      assert.deepStrictEqual(
        [opened.dataSizeBytes, opened.digest],
        [700, fixedKey.chunkDigest(read("blobs/text.bin"))]
      )
      const other = CryptConfig.fromKey(new Uint8Array(32))
      const refused = expectKind(yield* inspectGolden(name, { crypt: other }), "blob")
      assert.include(refused.problem, "tag that does not fit")
    })
  )

  it.live("knows a manifest in a blob", () =>
    Effect.gen(function* () {
      const found = yield* inspectGolden("manifests/ct_100_2024-02-29T12_34_56Z.index.json.blob")
      const { manifest } = expectKind(found, "blob")
      assert.strictEqual(manifest?.snapshot.group.id, "100")
    })
  )

  it.live("tells a blob with a flipped bit", () =>
    Effect.gen(function* () {
      const bytes = read("blobs/text.uncompressed.blob")
      bytes[40] = (bytes[40] ?? 0) ^ 1
      const found = expectKind(yield* inspectBytes(bytes), "blob")
      assert.deepStrictEqual([found.isCrcGood, found.dataSizeBytes], [false, undefined])
      assert.include(found.problem, "checksum")
    })
  )

  it.live("tells indexes as the reference reads them", () =>
    Effect.gen(function* () {
      const dynamic = expectKind(yield* inspectGolden("index/zeros-40M.didx"), "dynamic-index")
      assert.deepStrictEqual(
        [dynamic.index.sizeBytes, dynamic.isChecksumGood, dynamic.chunkSizeBytes],
        [40 * 1024 * 1024, true, undefined]
      )
      const fixed = expectKind(yield* inspectGolden("index/part-5000000.fidx"), "fixed-index")
      assert.deepStrictEqual(
        [fixed.index.sizeBytes, fixed.isChecksumGood, fixed.chunkSizeBytes],
        [5_000_000, true, 4 * 1024 * 1024]
      )
      const bytes = read("index/part-5000000.fidx")
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
      assert.isFalse(expectKind(yield* inspectBytes(bytes), "fixed-index").isChecksumGood)
    })
  )

  it.live("counts what a catalog lists", () =>
    Effect.gen(function* () {
      const found = expectKind(yield* inspectGolden("catalog/tree.pcat1"), "catalog")
      assert.deepStrictEqual(
        found.archives.map(({ name, entryCount }) => [Buffer.from(name).toString(), entryCount]),
        [["root.pxar.didx", 417]]
      )
      const cut = expectKind(yield* inspectBytes(read("catalog/tree.pcat1").subarray(0, 2000)), "catalog")
      assert.include(cut.problem, "bad catalog")
    })
  )

  it.live("lists archives of both versions", () =>
    Effect.gen(function* () {
      for (const [name, version] of [
        ["tiny-mix.v1.pxar", 1],
        ["tiny-mix.v2.mpxar", 2]
      ] as const) {
        const found = expectKind(yield* inspectGolden(`pxar/${name}`), "pxar")
        assert.strictEqual(found.version, version)
        assert.isUndefined(found.problem)
        assert.deepStrictEqual(
          found.entries.map(({ name: bytes, entry }) => `${entry.kind} ${Buffer.from(bytes).toString()}`),
          [
            "directory ",
            "file .pxarexclude",
            "directory d",
            "file f",
            "file empty",
            "symlink sym",
            "hardlink z-hard"
          ]
        )
        assert.strictEqual(found.entries[3]?.parent, found.entries[2])
        assert.strictEqual(found.entries[4]?.parent, found.entries[0])
      }
      const excluded = expectKind(yield* inspectGolden("pxar/tiny-mix-exclude-cli.v2.mpxar"), "pxar")
      assert.include(Buffer.from(excluded.prelude ?? []).toString(), "d/f")
      expectKind(yield* inspectGolden("pxar/tiny-mix.v2.ppxar"), "pxar-payload")
    })
  )

  it.live("tells the entries up to where an archive ends too early", () =>
    Effect.gen(function* () {
      const found = expectKind(yield* inspectBytes(read("pxar/tiny-mix.v1.pxar").subarray(0, 400)), "pxar")
      assert.isAbove(found.entries.length, 2)
      assert.include(found.problem, "bad pxar archive")
    })
  )

  it.live("knows key files, and refuses the rest", () =>
    Effect.gen(function* () {
      const found = expectKind(yield* inspectGolden("keys/scrypt.key.json"), "key-file")
      assert.strictEqual(found.keyFile.kdf.kind, "scrypt")
      const foreign = yield* Effect.flip(inspectBytes(Buffer.from("hello, world")))
      assert.include(foreign.message, "no kind of file known here")
      const json = yield* Effect.flip(inspectBytes(Buffer.from('{"some":"json"}')))
      assert.include(json.message, "bad key file")
      assert.include((yield* Effect.flip(inspectBytes(new Uint8Array(0)))).message, "no kind")
      assert.include((yield* Effect.flip(inspectPath(join(scratch, "missing")))).message, "no such file")
    })
  )

  const samples = [
    "blobs/text.compress-requested.blob",
    "manifests/ct_100_2024-02-29T12_34_56Z.index.json.blob",
    "index/zeros-40M.didx",
    "index/part-5000000.fidx",
    "catalog/tree.pcat1",
    "pxar/tiny-mix.v1.pxar",
    "pxar/tiny-mix-exclude-cli.v2.mpxar",
    "keys/pbkdf2.key.json"
  ].map(read)

  it("survives any change of any file", { timeout: 120_000 }, () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    return fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...samples),
        changes,
        fc.option(fc.nat()),
        async (sample, edits, cut) => {
          const bytes = Uint8Array.from(cut === null ? sample : sample.subarray(0, cut % sample.length))
          // Not the magic: the kind stays what it is.
          for (const [at, value] of edits) if (bytes.length > 8) bytes[8 + (at % (bytes.length - 8))] = value
          const exit = await Effect.runPromiseExit(inspectBytes(bytes))
          assert.isFalse(exit._tag === "Failure" && exit.cause.reasons.some(({ _tag }) => _tag === "Die"))
        }
      ),
      { numRuns: 400 }
    )
  })
})

describe("recognise", () => {
  it("takes JSON for a key file and does not need the whole head", () => {
    assert.strictEqual(recognise(Buffer.from(' \n{"kdf"')), "key-file")
    assert.isUndefined(recognise(Buffer.from("[1]")))
    assert.isUndefined(recognise(new Uint8Array(3)))
  })
})

describe("fileChunks", () => {
  const chunksOf = (bytes: Uint8Array, averageBytes: number, crypt?: CryptConfig.CryptConfig) => {
    const path = join(scratch, "chunks")
    writeFileSync(path, bytes)
    return Stream.runCollect(fileChunks(path, { averageBytes, crypt })).pipe(Effect.provide(NodeFiles.layer))
  }

  /** Four bytes a number, counting up: what the golden file was made of. */
  const counter = new Uint8Array(new Uint32Array(1024 * 256).map((_, at) => at).buffer)

  it.live("cuts like the reference, over blocks of any kind", () =>
    Effect.gen(function* () {
      const { chunks } = JSON.parse(read("chunker/u32le-counter-1M.avg4096.json").toString())
      const found = yield* chunksOf(counter, 4096)
      assert.deepStrictEqual(
        found.map(({ start, end, digest }) => ({
          start,
          end,
          size: end - start,
          sha256: digest
        })) as unknown[],
        chunks
      )
      assert.strictEqual(found.at(-1)?.end, counter.length)
    })
  )

  it.live("gives the digests of encrypted chunks with a key, and none of an empty file", () =>
    Effect.gen(function* () {
      const [first] = yield* chunksOf(counter.subarray(0, 100), 4096, fixedKey)
      assert.strictEqual(first?.digest, fixedKey.chunkDigest(counter.subarray(0, 100)))
      assert.deepStrictEqual(yield* chunksOf(new Uint8Array(0), 4096), [])
    })
  )
})
