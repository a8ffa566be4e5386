/** Pushing to our server and pulling from it: what arrives, what is transferred, what a broken line costs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { Remote } from "../../src/remote/Remote.ts"
import * as RemoteSource from "../../src/remote/RemoteSource.ts"
import * as RemoteTarget from "../../src/remote/RemoteTarget.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../src/sync/DatastoreTarget.ts"
import * as SyncJob from "../../src/sync/SyncJob.ts"
import type { SyncOptions } from "../../src/sync/SyncOptions.ts"
import type { SyncSource } from "../../src/sync/SyncSource.ts"
import { assertVerified, backUp, inStore, newStore, noise, owner, writeAt } from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { adminId } from "../server/scene.ts"
import { client, type Client, connect, inServersStore } from "./backups.ts"
import { line } from "./net.ts"
import * as AuthId from "../../src/model/AuthId.ts"

/** A chunk of its own, so that the image has two. */
const zeros = Buffer.alloc(4 * 1024 * 1024)

const team = Namespace.parse("team/dev")

/** Two groups of two snapshots each, one with an image beside its files, one of them in a namespace. */
const fillStore = (base: string) =>
  inStore(base)(
    Effect.gen(function* () {
      const store = yield* Datastore.Datastore
      yield* store.hierarchy.createNamespace(team)
      const root = yield* scratchFolder
      const image = join(yield* scratchFolder, "image")
      const archives = [
        { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root },
        { kind: "image", archive: ArchiveName.fromClient("disk.img"), path: image },
        {
          kind: "blob",
          archive: ArchiveName.fromClient("a.conf"),
          content: Effect.succeed(Buffer.from("a = 1"))
        }
      ] as const
      for (const [index, namespace] of [Namespace.root, team, Namespace.root, team].entries()) {
        writeAt(image, Buffer.concat([zeros, noise(`image ${index}`, 300_000)]), 1_600_000_000 + index)
        writeAt(join(root, "d1", `file ${index}`), noise(`file ${index}`, 70_000), 1_600_000_000)
        yield* backUp(root, { archives, namespace, changeDetection: "data" })
      }
    })
  )

const withStore = <A, E, R>(
  base: string,
  use: (store: Datastore.Datastore["Service"]) => Effect.Effect<A, E, R>
) => inStore(base)(Effect.flatMap(Datastore.Datastore, use))

const push = (base: string, remote: Remote, options: Partial<SyncOptions> = {}) =>
  withStore(base, (store) =>
    Effect.gen(function* () {
      const job = SyncJob.make(DatastoreSource.make(store), yield* RemoteTarget.make(remote))
      return yield* job.run({ direction: "push", owner: remote.address.authId, ...options })
    })
  )

const pullFrom = (source: SyncSource["Service"], base: string, options: Partial<SyncOptions> = {}) =>
  withStore(base, (store) =>
    Effect.gen(function* () {
      const job = SyncJob.make(source, yield* DatastoreTarget.make(store))
      return yield* job.run({ direction: "pull", owner, ...options })
    })
  )

/** Every snapshot of the store, as text. */
const listed = (base: string) =>
  withStore(base, ({ hierarchy }) =>
    Effect.gen(function* () {
      const found: Array<string> = []
      for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
        for (const group of yield* hierarchy.groups(namespace)) {
          for (const { finished, snapshot } of yield* hierarchy.snapshots(namespace, group)) {
            found.push(`${namespace}:${Snapshot.format(snapshot)}${finished ? "" : " unfinished"}`)
          }
        }
      }
      return found.toSorted()
    })
  )

const live = (title: string, test: (client: Client) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => Effect.scoped(Effect.flatMap(client, test)))

const errorsOf = ({ groups, problems }: Effect.Success<ReturnType<typeof push>>) =>
  [...groups.flatMap(({ error }) => error ?? []), ...problems].map(({ message }) => message)

describe("a sync with a server", () => {
  live("pushes what is there, then only what is new, and pulls it back", ({ made, remote }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      const pushed = yield* push(base, remote, { parallelGroups: 2 })
      assert.deepStrictEqual(errorsOf(pushed), [])
      assert.strictEqual(pushed.counts.copiedSnapshots, 4)
      assert.deepStrictEqual(yield* listed(made.base), yield* listed(base))
      yield* inServersStore(made)(assertVerified())
      const again = yield* push(base, remote)
      assert.deepStrictEqual([again.counts.copiedSnapshots, again.counts.chunks], [0, 0])

      const copy = yield* newStore
      const source = RemoteSource.make(remote)
      const pulled = yield* pullFrom(source, copy, { parallelGroups: 2 })
      assert.deepStrictEqual(errorsOf(pulled), [])
      assert.strictEqual(pulled.counts.copiedSnapshots, 4)
      assert.deepStrictEqual(yield* listed(copy), yield* listed(base))
      yield* inStore(copy)(assertVerified())
      const settled = yield* pullFrom(source, copy)
      assert.deepStrictEqual([settled.counts.copiedSnapshots, settled.counts.chunks], [0, 0])
    })
  )

  live("uploads of the next snapshot what the one before has not", ({ made, remote }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      const { counts } = yield* push(base, remote, { transferLast: 1, maxDepth: 0 })
      assert.strictEqual(counts.copiedSnapshots, 1)
      yield* inStore(base)(
        Effect.gen(function* () {
          const root = yield* scratchFolder
          writeAt(join(root, "small"), noise("small", 5000), 1_600_000_000)
          yield* backUp(root, { changeDetection: "data" })
        })
      )
      const next = yield* push(base, remote, { maxDepth: 0 })
      assert.deepStrictEqual(errorsOf(next), [])
      assert.strictEqual(next.counts.copiedSnapshots, 1)
      assert.isBelow(next.counts.chunkBytes, 100_000)
      yield* inServersStore(made)(assertVerified())
    })
  )

  live("removes what vanished from the source, and not what is protected", ({ made, remote }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      yield* push(base, remote)
      const group = BackupGroup.make("host", "test")
      const inRoot = yield* withStore(base, ({ hierarchy }) => hierarchy.snapshots(Namespace.root, group))
      const inTeam = yield* withStore(base, ({ hierarchy }) => hierarchy.snapshots(team, group))
      yield* made.datastore.hierarchy.setProtected(team, inTeam[1]!.snapshot, true)
      yield* withStore(base, (store) =>
        Effect.gen(function* () {
          yield* store.forget(Namespace.root, inRoot[1]!.snapshot)
          for (const { snapshot } of inTeam) yield* store.forget(team, snapshot)
          yield* store.hierarchy.removeGroupIfEmpty(team, group)
          yield* store.hierarchy.removeNamespaceIfEmpty(team)
        })
      )
      const pushed = yield* push(base, remote, { removeVanished: true })
      const kept = `${team}:${Snapshot.format(inTeam[1]!.snapshot)}`
      assert.deepStrictEqual(yield* listed(made.base), [...(yield* listed(base)), kept])
      assert.deepInclude(pushed.removed, { groups: 0, namespaces: 0, snapshots: 2 })
      yield* made.datastore.hierarchy.setProtected(team, inTeam[1]!.snapshot, false)
      const last = yield* push(base, remote, { removeVanished: true })
      assert.deepStrictEqual(yield* listed(made.base), yield* listed(base))
      assert.deepInclude(last.removed, { groups: 1, namespaces: 1, snapshots: 1 })
      const namespaces = yield* made.datastore.hierarchy.namespaces(Namespace.root)
      assert.notInclude(namespaces, team)
    })
  )

  live("leaves groups of others alone, and says whose they would be", ({ made, remote }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      const wrong = yield* push(base, remote, { owner: AuthId.parse("somebody@pbs") })
      assert.strictEqual(wrong.failedGroups, 2)
      assert.match(errorsOf(wrong)[0] ?? "", new RegExp(`belongs to ${adminId}, not to somebody@pbs`))
      yield* push(base, remote)
      const authorization = yield* made.tokenWith("other@pbs!one", "DatastoreAdmin")
      const other = yield* connect({ ...made, admin: authorization }, { id: "other@pbs!one" })
      const refused = yield* push(base, other)
      assert.strictEqual(refused.counts.copiedSnapshots, 0)
      assert.isNotEmpty(errorsOf(refused))
    })
  )

  live("goes on after a line that broke, and fetches no chunk again", ({ made, remote }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      yield* push(base, remote)
      const way = yield* line(made.port)
      const fetched: Array<string> = []
      const source = RemoteSource.make(yield* connect(made, { port: way.port }))
      const cutting: SyncSource["Service"] = {
        ...source,
        openSnapshot: (namespace, snapshot) =>
          Effect.map(source.openSnapshot(namespace, snapshot), (opened) => ({
            ...opened,
            chunk: (digest) =>
              Effect.tap(opened.chunk(digest), () =>
                Effect.sync(() => {
                  fetched.push(digest)
                  if (fetched.length % 3 === 0) way.cut()
                })
              )
          }))
      }
      const copy = yield* newStore
      const pulled = yield* pullFrom(cutting, copy, { attemptsMax: 20, pipelining: "off" })
      assert.deepStrictEqual(errorsOf(pulled), [])
      assert.deepStrictEqual(yield* listed(copy), yield* listed(base))
      yield* inStore(copy)(assertVerified())
      assert.strictEqual(new Set(fetched).size, fetched.length)
      assert.isAbove(way.count(), 6)
    })
  )

  live("pushes the rest when a push was cut", ({ made }) =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* fillStore(base)
      const way = yield* line(made.port)
      const cut = yield* connect(made, { port: way.port })
      let calls = 0
      const failing: Remote = {
        ...cut,
        begin: (protocol, parameters) =>
          Effect.map(cut.begin(protocol, parameters), (session) => ({
            ...session,
            call: (...asked) =>
              Effect.suspend(() => {
                calls += 1
                if (calls === 14) way.cut()
                return session.call(...asked)
              })
          }))
      }
      const first = yield* push(base, failing)
      assert.strictEqual(first.failedGroups, 1)
      assert.match(first.groups.find(({ error }) => error !== undefined)?.error?.hint ?? "", /goes on/)
      const whole = yield* listed(base)
      for (const name of yield* listed(made.base)) assert.include(whole, name)
      const second = yield* push(base, failing)
      assert.deepStrictEqual(errorsOf(second), [])
      assert.deepStrictEqual(yield* listed(made.base), whole)
      yield* inServersStore(made)(assertVerified())
    })
  )
})
