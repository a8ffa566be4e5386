/**
 * Whatever names a source's manifest gives (R20): a sync reads nothing outside of the snapshot on the source, writes,
 * changes and removes nothing outside of it on the target, and takes no such snapshot; its neighbours come all the
 * same.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { hash } from "node:crypto"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import { play, Scene, snapshotOf, snapshotsOf, type Store } from "../../test/sync/scene.ts"
import { hooked } from "../../test/sync/hooked.ts"

const group = "vm/100"
const secret = Buffer.from("nobody outside may read this")
const escaping = "../../../secret.conf.blob"

const folderOf = ({ layout }: Store, day: number): string =>
  `${layout.base}/${group}/${snapshotOf(group, day).directory}`

/** A manifest as anybody can write it. */
const crafted = (day: number, filenames: ReadonlyArray<string>): Uint8Array => {
  const files = filenames.map((filename) => ({
    filename,
    "crypt-mode": "none",
    size: secret.length,
    csum: hash("sha256", secret, "hex")
  }))
  const raw = {
    "backup-id": "100",
    "backup-time": snapshotOf(group, day).time,
    "backup-type": "vm",
    files,
    signature: null,
    unprotected: {}
  }
  return DataBlob.encode(Buffer.from(JSON.stringify(raw)), { compress: true })
}

const isName = (name: string): boolean => {
  try {
    ArchiveName.fromFile(name)
    return true
  } catch (error) {
    if (error instanceof InvalidName) return false
    throw error
  }
}

const sideways = `../${snapshotOf(group, 0).directory}/a.conf.blob`

const names = fc.oneof(
  fc.constantFrom(
    escaping,
    sideways,
    "/secret.conf.blob",
    ".protected",
    "..blob",
    "a/b.blob",
    "owner",
    "a\0.blob"
  ),
  fc
    .tuple(fc.array(fc.constantFrom("..", ".", "/", "a", "\n", "é", " ", "secret.conf"), { maxLength: 6 }))
    .map(([parts]) => `${parts.join("")}.blob`)
)

const bothEnds = (scene: Scene) => [scene.source, scene.target]

const check = (list: ReadonlyArray<string>): void => {
  const scene = new Scene()
  play(
    Effect.gen(function* () {
      yield* scene.backUpDays(scene.source, group, [["a"], ["b"]])
      yield* scene.sync()
      yield* scene.backUp(scene.source, { group, day: 2, texts: ["c"] })
      yield* scene.backUp(scene.source, { group: "vm/101", day: 0, texts: ["d"] })
      for (const { disk, layout } of bothEnds(scene)) {
        disk.create(`${layout.base}/secret.conf.blob`, 0o644, 0)
        disk.put(`${layout.base}/secret.conf.blob`, secret)
      }
      scene.source.disk.put(`${folderOf(scene.source, 2)}/index.json.blob`, crafted(2, list))
      const before = scene.target.disk.list(folderOf(scene.target, 0), 0)
      const asked: Array<string> = []
      const around = hooked({ file: (name) => Effect.sync(() => void asked.push(name)) })
      const { failedGroups } = yield* scene.sync({ resyncCorrupt: true, removeVanished: true }, around)
      assert.strictEqual(failedGroups, 1)
      assert.isEmpty(asked.filter((name) => !isName(name)))
      assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@1", "vm/101@0"])
      assert.deepStrictEqual(scene.target.disk.list(folderOf(scene.target, 0), 0), before)
      for (const { disk, layout } of bothEnds(scene)) {
        assert.deepStrictEqual(disk.stat(`${layout.base}/secret.conf.blob`).content, new Uint8Array(secret))
      }
    })
  )
}

describe("a manifest of the source", () => {
  it("that names what is no archive of it leads nowhere", () => {
    const lists = fc.array(names, { minLength: 1, maxLength: 3 })
    fc.assert(fc.property(lists, check), { numRuns: 12, examples: [[[escaping]], [[sideways]]] })
  })
})
