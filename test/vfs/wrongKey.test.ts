/** A key with which nothing could be read is refused when the tree is opened, and no other one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type * as Snapshot from "../../src/model/Snapshot.ts"
import { Files } from "../../src/platform/Files.ts"
import { spread } from "../../src/vfs/tree/checkKey.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import { keyOf, owner } from "../backup/stores.ts"
import { inMemoryStore } from "./trees.ts"

const [laptop, server] = [BackupGroup.make("host", "laptop"), BackupGroup.make("host", "server")]
const team = Namespace.parse("team")
const [right, wrong] = [keyOf(3), keyOf(4)]

let clock = 1_700_000_000

interface Made {
  readonly group?: BackupGroup.BackupGroup
  readonly key?: number
  readonly mode?: "encrypt" | "sign-only"
  readonly namespace?: Namespace.Namespace
}

/** A backup of one small blob, later than those before, with the key of that number or without any. */
const backUp = ({ group = laptop, key, mode = "encrypt", namespace = Namespace.root }: Made) =>
  Effect.map(
    Backup.run({
      namespace,
      group,
      owner,
      time: (clock += 3600),
      archives: [
        {
          kind: "blob",
          archive: ArchiveName.fromClient("a.conf"),
          content: Effect.succeed(Buffer.from(`content ${clock}`))
        }
      ],
      ...(key === undefined ? {} : { key: { crypt: keyOf(key), mode } })
    }),
    ({ snapshot }) => snapshot
  )

/** The names of snapshots that were refused; empty when the tree was opened. */
const refusal = (crypt: ReturnType<typeof keyOf>, root: VfsLayer.VfsRoot = {}) =>
  Effect.scoped(VfsLayer.make({ crypt, root })).pipe(
    Effect.as(""),
    Effect.catchTag("StoreError", (error) => {
      assert.strictEqual(error.reason, "KeyNeeded")
      return Effect.succeed(error.subject)
    })
  )

const stored = (...all: ReadonlyArray<Made>) => Effect.forEach(all, backUp)

/** The manifest is another file from now on. */
const damage = (base: string, snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const files = yield* Files
    const file = `${base}/host/${snapshot.group.id}/${snapshot.directory}/index.json.blob`
    yield* files.replaceFile(file, [Buffer.from("nothing of use")], { mode: 0o644, sync: false })
  })

/** How many manifests are read meanwhile, and what comes out. */
const counted = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const store = yield* Datastore.Datastore
    const { snapshotFiles } = store
    let looks = 0
    const manifest: typeof snapshotFiles.manifest = (...place) => {
      looks += 1
      return snapshotFiles.manifest(...place)
    }
    const watched = { ...store, snapshotFiles: { ...snapshotFiles, manifest } }
    const found = yield* Effect.provideService(work, Datastore.Datastore, watched)
    return [looks, found] as const
  })

describe("a key", () => {
  it.effect("that fits to nothing is refused for the whole store, its namespace and its group", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        yield* stored({ key: 3 }, {}, { group: server }, { key: 3 })
        assert.match(yield* refusal(wrong), /^host\/laptop\//)
        assert.match(yield* refusal(wrong, { group: laptop }), /^host\/laptop\//)
        for (const root of [{}, { group: laptop }]) assert.strictEqual(yield* refusal(right, root), "")
      })
    )
  )

  it.effect("that fits to one snapshot is taken, to an older one too", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        yield* stored({ key: 4 }, { key: 3 }, { key: 3 }, { key: 3, group: server })
        for (const root of [{}, { group: laptop }]) assert.strictEqual(yield* refusal(wrong, root), "")
        assert.match(yield* refusal(wrong, { group: server }), /^host\/server\//)
      })
    )
  )

  it.effect("that fits in a namespace below is taken", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const { hierarchy } = yield* Datastore.Datastore
        yield* hierarchy.createNamespace(team)
        yield* stored({ key: 3 }, { key: 4, namespace: team })
        assert.strictEqual(yield* refusal(wrong), "")
        assert.strictEqual(yield* refusal(wrong, { namespace: team }), "")
        assert.match(yield* refusal(right, { namespace: team }), /^team: host\/laptop\//)
      })
    )
  )

  it.effect("that nothing needs is taken", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(wrong), "")
        yield* stored({}, { group: server })
        assert.strictEqual(yield* refusal(wrong), "")
        assert.strictEqual(yield* refusal(wrong, { group: server }), "")
      })
    )
  )

  it.effect("that only signs is judged as well", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        yield* stored({ key: 3, mode: "sign-only" })
        assert.notStrictEqual(yield* refusal(wrong), "")
        assert.strictEqual(yield* refusal(right), "")
      })
    )
  )

  it.effect("is not refused for what cannot be read", () =>
    inMemoryStore((base) =>
      Effect.gen(function* () {
        const [damaged] = yield* stored({ key: 4 }, { key: 3, group: server })
        if (damaged !== undefined) yield* damage(base, damaged)
        assert.strictEqual(yield* refusal(wrong), "")
      })
    )
  )

  it.effect("is looked for where it is likely, and no further than it takes", () =>
    inMemoryStore((base) =>
      Effect.gen(function* () {
        const snapshots = yield* stored(...Array.from({ length: 40 }, (_, at) => ({ key: at < 10 ? 4 : 3 })))
        const [looks, accepted] = yield* counted(refusal(wrong))
        assert.strictEqual(accepted, "")
        assert.isAtMost(looks, 1 + 8)
        const [all, refused] = yield* counted(refusal(keyOf(5)))
        assert.strictEqual(all, snapshots.length)
        assert.match(refused, /^host\/laptop\//)
        const last = snapshots.at(-1)
        if (last !== undefined) yield* damage(base, last)
        yield* stored({ key: 3, group: server })
        assert.deepStrictEqual(yield* counted(refusal(keyOf(5))), [2, ""])
      })
    )
  )

  it("is looked for everywhere", () => {
    for (let count = 0; count < 40; count++) {
      const all = Array.from({ length: count }, (_, at) => at)
      assert.deepStrictEqual(
        spread(all).toSorted((left, right) => left - right),
        all
      )
    }
    assert.deepStrictEqual(spread([0, 1, 2, 3, 4, 5, 6, 7, 8]).slice(0, 4), [8, 4, 2, 6])
  })
})
