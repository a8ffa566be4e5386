/**
 * ChunkStore and Hierarchy against models: whatever the order of operations, the store answers as a few lines of
 * ordinary code would, and nothing half-made is left on the disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as fs from "node:fs"
import * as DataBlob from "../src/format/DataBlob.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as Digest from "../src/model/Digest.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as Snapshot from "../src/model/Snapshot.ts"
import * as ChunkStore from "../src/store/ChunkStore.ts"
import * as Hierarchy from "../src/store/Hierarchy.ts"
import { chunkPath } from "../src/store/StoreLayout.ts"
import { namesBeside, newLayout, platform } from "../test/store/stores.ts"

const kinds: ReadonlyArray<DataBlob.BlobKind> = ["plain", "zstd", "encrypted", "encrypted-zstd"]

interface Stored {
  readonly kind: DataBlob.BlobKind
  readonly sizeBytes: number
}

type Step =
  | { readonly type: "insert"; readonly chunk: number; readonly blob: Stored }
  | { readonly type: "touch" | "truncate" | "remove"; readonly chunk: number }

const digests = [0, 1, 2].map((number) => Digest.parse(String(number).repeat(64)))

const chunk = fc.nat({ max: digests.length - 1 })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("insert" as const),
      chunk,
      blob: fc.record({ kind: fc.constantFrom(...kinds), sizeBytes: fc.integer({ min: 50, max: 54 }) })
    })
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("touch", "truncate", "remove"), chunk }) }
)

const blobOf = ({ kind, sizeBytes }: Stored): Uint8Array => {
  const blob = new Uint8Array(sizeBytes)
  new DataView(blob.buffer).setBigUint64(0, DataBlob.magics[kind], true)
  return blob
}

type Outcome = "new" | "duplicate" | "refused"

/** The rules for inserting, once more and as plainly as possible. */
const ruleFor = (present: Stored | "empty" | undefined, coming: Stored): Outcome => {
  if (present === undefined || present === "empty") return "new"
  if (present.sizeBytes === coming.sizeBytes) return "duplicate"
  const isEncrypted = ({ kind }: Stored): boolean => kind.startsWith("encrypted")
  if (!isEncrypted(coming)) return present.sizeBytes < coming.sizeBytes ? "duplicate" : "new"
  if (!isEncrypted(present)) return "refused"
  return present.kind === "encrypted" && coming.kind === "encrypted" ? "refused" : "duplicate"
}

const runSteps = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const layout = yield* newLayout(...digests)
    const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
    const model = new Map<Digest.Digest, Stored | "empty">()
    for (const { type, ...rest } of steps) {
      const digest = digests[rest.chunk] ?? Digest.parse("f".repeat(64))
      const path = chunkPath(layout, digest)
      if (type === "insert" && "blob" in rest) {
        const expected = ruleFor(model.get(digest), rest.blob)
        const found = yield* Effect.match(store.insertEncoded(digest, blobOf(rest.blob)), {
          onFailure: (): Outcome => "refused",
          onSuccess: ({ duplicate }): Outcome => (duplicate ? "duplicate" : "new")
        })
        assert.strictEqual(found, expected)
        if (expected === "new") model.set(digest, rest.blob)
      } else if (type === "touch") {
        assert.strictEqual(yield* store.touch(digest), model.has(digest))
      } else if (model.has(digest)) {
        if (type === "truncate") fs.truncateSync(path, 0)
        else fs.rmSync(path)
        if (type === "truncate") model.set(digest, "empty")
        else model.delete(digest)
      }
    }
    for (const digest of digests) {
      const present = model.get(digest)
      assert.deepStrictEqual(namesBeside(layout, digest), present === undefined ? [] : [digest])
      if (present === undefined) continue
      const content = fs.readFileSync(chunkPath(layout, digest))
      assert.deepStrictEqual(content, Buffer.from(present === "empty" ? [] : blobOf(present)))
    }
  }).pipe(Effect.scoped, Effect.provide(platform))

describe("ChunkStore", () => {
  it("inserts, touches and overwrites as the rules say, in any order", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), (steps) => Effect.runPromise(runSteps(steps))),
      { numRuns: 60 }
    ))
})

const namespaces = ["", "a", "a/b"].map(Namespace.parse)
const names = ["vm/1", "vm/10", "ct/1", "host/x"].flatMap((group) =>
  ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"].map((time) => `${group}/${time}`)
)

const hierarchyStep = fc.record({
  makes: fc.boolean(),
  namespace: fc.constantFrom(...namespaces),
  name: fc.constantFrom(...names)
})

const runHierarchy = (
  steps: ReadonlyArray<{ makes: boolean; namespace: Namespace.Namespace; name: string }>
) =>
  Effect.gen(function* () {
    const hierarchy = yield* Hierarchy.make(yield* newLayout())
    const model = new Set<string>()
    yield* Effect.forEach(namespaces, hierarchy.createNamespace)
    for (const { makes, namespace, name } of steps) {
      const snapshot = Snapshot.parse(name)
      const key = `${namespace} ${name}`
      if (makes) {
        yield* hierarchy.ensureGroup(namespace, snapshot.group, AuthId.parse("root@pam"))
        const made = yield* Effect.result(hierarchy.createSnapshot(namespace, snapshot))
        assert.strictEqual(made._tag, model.has(key) ? "Failure" : "Success")
        model.add(key)
      } else if (model.delete(key)) {
        yield* hierarchy.removeSnapshot(namespace, snapshot)
        const isLast = ![...model].some((other) => other.startsWith(key.slice(0, key.lastIndexOf("/") + 1)))
        assert.strictEqual(yield* hierarchy.removeGroupIfEmpty(namespace, snapshot.group), isLast)
      }
    }
    const found: Array<string> = []
    for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
      for (const group of yield* hierarchy.groups(namespace)) {
        const entries = yield* hierarchy.snapshots(namespace, group)
        assert.isAbove(entries.length, 0)
        found.push(...entries.map(({ snapshot }) => `${namespace} ${Snapshot.format(snapshot)}`))
      }
    }
    assert.deepStrictEqual(found.toSorted(), [...model].toSorted())
  }).pipe(Effect.scoped, Effect.provide(platform))

describe("Hierarchy", () => {
  it("lists what was made and not removed, and no group is left without snapshots", () =>
    fc.assert(
      fc.asyncProperty(fc.array(hierarchyStep, { maxLength: 25 }), (steps) =>
        Effect.runPromise(runHierarchy(steps))
      ),
      { numRuns: 40 }
    ))
})
