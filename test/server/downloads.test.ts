/** Downloads over REST: files as they are stored, decoded, and what file archives hold; of the configured datastores. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as Datastores from "../../src/datastores/Datastores.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as ConfiguredStores from "../../src/server/configuredStores.ts"
import * as Server from "../../src/server/Server.ts"
import * as Certificate from "../../src/server/tls/Certificate.ts"
import * as Users from "../../src/server/users/Users.ts"
import { keyOf } from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { backUp, connect } from "../remote/backups.ts"
import { emptyStore } from "../store/emptyStore.ts"
import { platform } from "../store/stores.ts"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const below = "/api2/json/admin/datastore/store1"

const fileSeconds = 1_600_000_000

interface Place {
  readonly ask: (call: string, query: NonNullable<client.Asked["query"]>) => Promise<client.Answer>
  readonly made: scene.Scene
  /** The snapshot as its parameters. */
  readonly plain: NonNullable<client.Asked["query"]>
  readonly encrypted: NonNullable<client.Asked["query"]>
  readonly image: Buffer
}

const encoded = (text: string): string => Buffer.from(text).toString("base64")

const parametersOf = (id: string, time: number) => ({
  "backup-type": "host",
  "backup-id": id,
  "backup-time": time
})

/** A tree and an image, and the tree once more under a key. */
const place: Effect.Effect<Place, unknown, Scope.Scope> = Effect.gen(function* () {
  const made = yield* scene.make
  const root = path.join(yield* scratchFolder, "source")
  mkdirSync(path.join(root, "sub"), { recursive: true })
  writeFileSync(path.join(root, "sub", "größe"), "hello\n")
  writeFileSync(path.join(root, "empty"), "")
  symlinkSync("sub/größe", path.join(root, "link"))
  for (const file of ["sub/größe", "empty"]) utimesSync(path.join(root, file), fileSeconds, fileSeconds)
  const image = Buffer.from(scene.content(3, 5_000_000))
  const imagePath = path.join(path.dirname(root), "disk")
  writeFileSync(imagePath, image)
  const remote = yield* connect(made)
  const tree = { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root } as const
  const disk = { kind: "image", archive: ArchiveName.fromClient("disk.img"), path: imagePath } as const
  const note = {
    kind: "blob",
    archive: ArchiveName.fromClient("note.conf"),
    content: Effect.succeed(Buffer.from("hello\n"))
  } as const
  const { summary } = yield* backUp(remote, root, { archives: [tree, disk, note] })
  const keyed = yield* backUp(remote, root, {
    group: BackupGroup.make("host", "keyed"),
    key: { crypt: keyOf(7), mode: "encrypt" }
  })
  return {
    made,
    image,
    ask: (call, query) => client.ask(made.port, `${below}/${call}`, { headers: made.admin, query }),
    plain: parametersOf("test", summary.snapshot.time),
    encrypted: parametersOf("keyed", keyed.summary.snapshot.time)
  }
})

const live = (title: string, test: (at: Place) => Promise<void>): void =>
  it.live(title, () => Effect.flatMap(place, (at) => Effect.promise(() => test(at))))

const folderOf = (snapshot: Place["plain"]): string =>
  `host/${snapshot["backup-id"]}/${new Date(Number(snapshot["backup-time"]) * 1000).toISOString().replace(".000", "")}`

const refusal = ({ status, text }: client.Answer): readonly [number, string] => [status, text.trim()]

describe("downloads", () => {
  live(
    "gives files as they are stored and decoded, and what archives hold",
    async ({ ask, encrypted, image, plain, made }) => {
      const decoded = await ask("download-decoded", { ...plain, "file-name": "disk.img.fidx" })
      assert.isTrue(decoded.body.equals(image))
      const note = await ask("download-decoded", { ...plain, "file-name": "note.conf.blob" })
      assert.strictEqual(note.text, "hello\n")
      const stored = await ask("download", { ...plain, "file-name": "root.pxar.didx" })
      assert.isTrue(stored.body.equals(readFileSync(path.join(made.base, folderOf(plain), "root.pxar.didx"))))

      const top = await ask("catalog", { ...plain, filepath: "/" })
      assert.deepStrictEqual(top.data, [
        { filepath: encoded("/root.pxar.didx"), text: "root.pxar.didx", type: "d", leaf: false }
      ])
      const emptyFile = { size: 0, mtime: fileSeconds }
      const entries = (await ask("catalog", { ...plain, filepath: encoded("/root.pxar.didx") })).data
      assert.sameDeepMembers(entries as Array<unknown>, [
        { filepath: encoded("/root.pxar.didx/sub"), text: "sub", type: "d", leaf: false },
        { filepath: encoded("/root.pxar.didx/link"), text: "link", type: "l", leaf: true },
        { filepath: encoded("/root.pxar.didx/empty"), text: "empty", type: "f", leaf: true, ...emptyFile }
      ])
      const inside = { filepath: encoded("/root.pxar.didx/sub/größe"), text: "größe", type: "f", leaf: true }
      const file = { ...inside, size: 6, mtime: fileSeconds }
      const sub = await ask("catalog", { ...plain, filepath: encoded("/root.pxar.didx/sub") })
      assert.deepStrictEqual(sub.data, [file])
      const named = await ask("catalog", {
        ...plain,
        filepath: encoded("/sub"),
        "archive-name": "root.pxar.didx"
      })
      assert.deepStrictEqual(named.data, [file])

      const content = await ask("pxar-file-download", { ...plain, filepath: inside.filepath })
      assert.deepStrictEqual([content.status, content.text], [200, "hello\n"])
      const byName = { ...plain, filepath: encoded("/sub/größe"), "archive-name": "root.pxar.didx" }
      assert.strictEqual((await ask("pxar-file-download", byName)).text, "hello\n")
      const empty = await ask("pxar-file-download", { ...plain, filepath: encoded("/root.pxar.didx/empty") })
      assert.deepStrictEqual([empty.status, empty.body.length], [200, 0])

      const folderAsked = await ask("pxar-file-download", {
        ...plain,
        filepath: encoded("/root.pxar.didx/sub")
      })
      assert.deepStrictEqual(refusal(folderAsked), [
        400,
        "directories cannot be downloaded: restore them with a client"
      ])
      for (const missing of ["/root.pxar.didx/nope", "/nope.pxar.didx/a", "/root.pxar.didx/../empty", "/"]) {
        assert.strictEqual(
          (await ask("pxar-file-download", { ...plain, filepath: encoded(missing) })).status,
          400,
          missing
        )
        if (missing === "/") continue
        assert.strictEqual(
          (await ask("catalog", { ...plain, filepath: encoded(missing) })).status,
          400,
          missing
        )
      }
      const sealed = "cannot decode 'root.pxar.didx' - is encrypted"
      for (const [call, query] of [
        ["catalog", { filepath: encoded("/root.pxar.didx") }],
        ["pxar-file-download", { filepath: encoded("/root.pxar.didx/empty") }],
        ["download-decoded", { "file-name": "root.pxar.didx" }]
      ] as const) {
        assert.deepStrictEqual(refusal(await ask(call, { ...encrypted, ...query })), [400, sealed], call)
      }
      assert.strictEqual((await ask("download", { ...encrypted, "file-name": "root.pxar.didx" })).status, 200)
    }
  )
})

it.live("tells what is damaged or gone, and not where it lies", () =>
  Effect.gen(function* () {
    const { ask, made, plain } = yield* place
    const snapshot = path.join(made.base, folderOf(plain))
    const session = yield* Effect.promise(() =>
      scene.openSession(made, "reader", { store: "store1", ...plain })
    )
    const indexBytes = readFileSync(path.join(snapshot, "disk.img.fidx"))
    yield* Effect.promise(() => session.ask("GET", "/download", { query: { "file-name": "disk.img.fidx" } }))
    const digest = indexBytes.subarray(4096, 4128).toString("hex")
    rmSync(path.join(made.base, ".chunks", digest.slice(0, 4), digest))
    const gone = yield* Effect.promise(() => session.ask("GET", "/chunk", { query: { digest } }))
    assert.deepStrictEqual(refusal(gone), [400, `cannot read ${digest}: no such file or directory`])
    yield* Effect.promise(() => session.close())
    writeFileSync(path.join(snapshot, "root.pxar.didx"), "no index")
    const damaged = yield* Effect.promise(() =>
      ask("catalog", { ...plain, filepath: encoded("/root.pxar.didx") })
    )
    assert.strictEqual(damaged.status, 400)
    assert.include(damaged.text, "root.pxar.didx")
    assert.notInclude(damaged.text, made.base)
  })
)

/** A server over a configuration folder with `store1` in it, one that is offline, and one whose folder is gone. */
const configured = Effect.gen(function* () {
  const folder = yield* scratchFolder
  const config = path.join(folder, "granary")
  mkdirSync(config)
  emptyStore(path.join(folder, "one"))
  const section = (name: string, at: string, more: ReadonlyArray<string> = []) =>
    [`datastore: ${name}`, `\tpath ${path.join(folder, at)}`, ...more.map((line) => `\t${line}`), ""].join(
      "\n"
    )
  const offline = ["comment put away", "maintenance-mode type=offline,message=moving"]
  const sections = [section("store1", "one"), section("cold", "two", offline), section("gone", "three")]
  writeFileSync(path.join(config, "datastore.cfg"), sections.join("\n"))
  const machine = yield* Layer.build(platform)
  const parts = Effect.gen(function* () {
    const certificate = yield* Certificate.obtain(config)
    const stores = Layer.provide(ConfiguredStores.layer, Datastores.layer({ folder: config }))
    const services = yield* Layer.build(Layer.mergeAll(stores, Users.layer(config)))
    return yield* Effect.provideContext(Server.serve({ certificate, port: 0, graceMillis: 500 }), services)
  })
  const serving = yield* Effect.provideContext(parts, machine)
  const admin = yield* scene.tokenMaker(config)(scene.adminId, "Admin", "/")
  const ask = (target: string) =>
    Effect.promise(() => client.ask(serving.port, `/api2/json/admin/datastore${target}`, { headers: admin }))
  return { ask, config }
})

it.live("serves the configured datastores as they are configured now", () =>
  Effect.gen(function* () {
    const { ask, config } = yield* configured
    const listed = (yield* ask("")).data as ReadonlyArray<Record<string, unknown>>
    assert.deepStrictEqual(
      listed.map(({ comment, maintenance, store }) => [store, comment, maintenance]),
      [
        ["store1", null, undefined],
        ["cold", "put away", "type=offline,message=moving"],
        ["gone", null, undefined]
      ]
    )
    assert.strictEqual((yield* ask("/store1/status")).status, 200)
    const cold = yield* ask("/cold/groups")
    assert.strictEqual(cold.status, 400)
    assert.match(cold.text, /cold.*offline/s)
    const gone = yield* ask("/gone/groups")
    assert.strictEqual(gone.status, 400)
    assert.strictEqual(gone.text.trim(), "three: this is not a datastore (it has no folder .chunks)")
    assert.deepStrictEqual(refusal(yield* ask("/nope/groups")), [400, "no such datastore 'nope'"])
    writeFileSync(path.join(config, "datastore.cfg"), "")
    yield* Effect.sleep(60)
    assert.strictEqual((yield* ask("/store1/groups")).status, 400)
    assert.deepStrictEqual((yield* ask("")).data, [])
  })
)
