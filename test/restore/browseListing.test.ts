import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as Listing from "../../src/restore/Listing.ts"
import { copyFixtureStore, fixtures, fixturesExist, removeStore, withStore } from "./browseStore.ts"

interface ReferenceSnapshot {
  readonly dir: string
  readonly ns: string
  readonly owner: string
  readonly protected: boolean
  readonly manifest: {
    readonly files: ReadonlyArray<{ readonly filename: string; readonly size: number }>
    readonly unprotected: Readonly<Record<string, unknown>>
  }
}

const reference = (): ReadonlyArray<ReferenceSnapshot> =>
  JSON.parse(readFileSync(join(fixtures, "datastore.snapshots.json"), "utf8"))

const bySnapshot = (left: { readonly dir: string }, right: { readonly dir: string }): number =>
  left.dir < right.dir ? -1 : 1

describe.skipIf(!fixturesExist || !existsSync(join(fixtures, "datastore.snapshots.json")))("Listing", () => {
  let folder = ""
  beforeEach(() => {
    folder = copyFixtureStore()
  })
  afterEach(() => removeStore(folder))

  const run = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.suspend(() => withStore(folder)(effect))

  for (const ns of ["", "team/dev"]) {
    it.live(`tells of the namespace "${ns}" what the reference tells`, () =>
      Effect.gen(function* () {
        const infos = yield* run(Stream.runCollect(Listing.snapshots(Namespace.parse(ns))))
        const found = infos.map((info) => ({
          dir: Snapshot.format(info.snapshot),
          state: info.state,
          owner: info.owner,
          isProtected: info.isProtected,
          files: info.files.map(({ filename, sizeBytes }) => [filename, sizeBytes]),
          sizeBytes: info.sizeBytes,
          fingerprint: info.fingerprint
        }))
        const expected = reference()
          .filter((each) => each.ns === ns)
          .map(({ dir, owner, manifest, ...rest }) => ({
            dir,
            state: "finished",
            owner,
            isProtected: rest.protected,
            files: manifest.files.map(({ filename, size }) => [filename, size]),
            sizeBytes: manifest.files.reduce((sum, { size }) => sum + size, 0),
            fingerprint: manifest.unprotected["key-fingerprint"]
          }))
        assert.deepStrictEqual(found.toSorted(bySnapshot), expected.toSorted(bySnapshot) as typeof found)
      })
    )
  }

  it.live("lists newest first, and only the group that is asked for", () =>
    Effect.gen(function* () {
      const infos = yield* run(
        Stream.runCollect(Listing.snapshots(Namespace.root, BackupGroup.parse("host/v1-plain")))
      )
      assert.deepStrictEqual(
        infos.map(({ snapshot }) => snapshot.directory),
        ["2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"]
      )
      const missing = yield* Effect.flip(
        run(Stream.runDrain(Listing.snapshots(Namespace.root, BackupGroup.parse("host/none"))))
      )
      assert.include(missing.message, "no such backup group")
    })
  )

  it.live("goes on past unfinished and damaged snapshots and says which they are", () =>
    Effect.gen(function* () {
      const place = join(folder, "host/v1-plain")
      rmSync(join(place, "2024-01-02T00:00:00Z/index.json.blob"))
      writeFileSync(join(place, "2024-01-01T00:00:00Z/index.json.blob"), "nonsense")
      rmSync(join(place, "owner"))
      const infos = yield* run(Stream.runCollect(Listing.snapshots(Namespace.root)))
      const states = new Map(infos.map((info) => [Snapshot.format(info.snapshot), info]))
      const unfinished = states.get("host/v1-plain/2024-01-02T00:00:00Z")
      const damaged = states.get("host/v1-plain/2024-01-01T00:00:00Z")
      assert.strictEqual(infos.length, 8)
      assert.deepStrictEqual(
        [unfinished?.state, unfinished?.sizeBytes, unfinished?.owner],
        ["unfinished", undefined, undefined]
      )
      assert.strictEqual(damaged?.state, "damaged")
      assert.include(damaged?.problem, "bad data blob")
    })
  )

  it.live("sums up groups by their finished snapshots", () =>
    Effect.gen(function* () {
      rmSync(join(folder, "host/v1-plain/2024-01-02T00:00:00Z/index.json.blob"))
      rmSync(join(folder, "ct/103/2024-02-29T12:34:56Z/index.json.blob"))
      writeFileSync(join(folder, "ct/102/notes"), "first line\nsecond line\n")
      const infos = yield* run(Stream.runCollect(Listing.groups(Namespace.root)))
      const groups = new Map(infos.map((info) => [BackupGroup.format(info.group), info]))
      const plain = groups.get("host/v1-plain")
      assert.strictEqual(infos.length, 7)
      assert.deepStrictEqual(
        [plain?.backupCount, plain?.last?.snapshot.directory, plain?.owner],
        [1, "2024-01-01T00:00:00Z", "root@pam"]
      )
      assert.include(plain?.last?.files ?? [], "root.pxar.didx")
      assert.deepStrictEqual([groups.get("ct/103")?.backupCount, groups.get("ct/103")?.last], [0, undefined])
      assert.strictEqual(groups.get("ct/102")?.comment, "first line")
    })
  )

  it.live("finds the latest finished snapshot of a group", () =>
    Effect.gen(function* () {
      const group = BackupGroup.parse("host/v1-plain")
      rmSync(join(folder, "host/v1-plain/2024-01-02T00:00:00Z/index.json.blob"))
      assert.strictEqual(
        (yield* run(Listing.latest(Namespace.root, group))).directory,
        "2024-01-01T00:00:00Z"
      )
      rmSync(join(folder, "host/v1-plain/2024-01-01T00:00:00Z/index.json.blob"))
      const none = yield* Effect.flip(run(Listing.latest(Namespace.root, group)))
      assert.include(none.message, "no finished snapshot")
    })
  )
})
