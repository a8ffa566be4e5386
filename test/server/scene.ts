/** What tests of the server share: a store, a server over it, users with tokens, and what a client sends in a backup. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createCipheriv, hash } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import * as path from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as ServedStores from "../../src/server/ServedStores.ts"
import * as Server from "../../src/server/Server.ts"
import * as Certificate from "../../src/server/tls/Certificate.ts"
import type * as Permissions from "../../src/server/users/Permissions.ts"
import * as UserRecords from "../../src/server/users/UserRecords.ts"
import * as Users from "../../src/server/users/Users.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { emptyStore } from "../store/emptyStore.ts"
import { platform } from "../store/stores.ts"
import * as client from "./client.ts"

export interface Scene {
  readonly serving: Server.Serving
  readonly port: number
  /** The folder of `store1`. */
  readonly base: string
  readonly config: string
  readonly datastore: Datastore.Datastore["Service"]
  /** The header of a new token that has the role on the path; its user has it as well. */
  readonly tokenWith: (
    id: string,
    role: Permissions.Role,
    on?: string
  ) => Effect.Effect<Readonly<Record<string, string>>>
  /** Of a token that may do everything. */
  readonly admin: Readonly<Record<string, string>>
}

export const tokenMaker =
  (config: string) =>
  (id: string, role: Permissions.Role, on = "/datastore/store1") =>
    Effect.gen(function* () {
      const authId = AuthId.parse(id)
      yield* UserRecords.putUser(config, AuthId.userOf(authId))
      const secret = yield* UserRecords.putToken(config, authId)
      for (const who of [authId, AuthId.userOf(authId)]) {
        yield* UserRecords.putAcl(config, { authId: who, path: on, roles: [role], propagate: true })
      }
      return { authorization: `PBSAPIToken ${id}:${secret}` }
    }).pipe(Effect.provide(platform), Effect.orDie)

export const adminId = "admin@pbs!all"

/** A server with one store, until the scope ends. */
export const make: Effect.Effect<Scene, unknown, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* scratchFolder
  const config = path.join(folder, "granary")
  const base = emptyStore(path.join(folder, "store1"))
  const machine = yield* Layer.build(platform)
  const parts = Effect.gen(function* () {
    const datastore = yield* Datastore.open({ path: base, syncLevel: "none" })
    const certificate = yield* Certificate.obtain(config)
    const services = Layer.mergeAll(ServedStores.layerOf({ store1: datastore }), Users.layer(config))
    const serving = yield* Effect.provideContext(
      Server.serve({ certificate, port: 0, graceMillis: 500 }),
      yield* Layer.build(services)
    )
    return { datastore, serving }
  })
  const { datastore, serving } = yield* Effect.provideContext(parts, machine)
  const tokenWith = tokenMaker(config)
  const admin = yield* tokenWith(adminId, "Admin", "/")
  return { serving, port: serving.port, base, config, datastore, tokenWith, admin }
})

/** Content that is the same for the same seed, and does not compress. */
export const content = (seed: number, lengthBytes: number): Uint8Array => {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(lengthBytes))
}

export const sha256 = (bytes: Uint8Array | string): string => hash("sha256", bytes, "hex")

/** A chunk as a client has it. */
export interface Chunk {
  readonly data: Uint8Array
  readonly digest: string
  readonly blob: Uint8Array
}

export const chunkOf = (data: Uint8Array, compress = false): Chunk => ({
  data,
  digest: sha256(data),
  blob: DataBlob.encode(data, { compress })
})

export const groupQuery = (id: string) => ({ store: "store1", "backup-type": "host", "backup-id": id })

export const snapshotQuery = (id: string, time: number) => ({ ...groupQuery(id), "backup-time": time })

export const isSession = (opened: client.Session | client.Answer): opened is client.Session =>
  "http2" in opened

/** A session that must be granted. */
export const openSession = async (
  { admin, port }: Pick<Scene, "port" | "admin">,
  kind: "backup" | "reader",
  query: Readonly<Record<string, string | number | boolean>>
): Promise<client.Session> => {
  const opened = await client.upgrade(port, `//api2/json/${kind}`, { headers: admin, query })
  if (isSession(opened)) return opened
  throw new Error(`${opened.status} ${opened.text}`)
}

/** What must be answered with success. */
export const good = async (asked: Promise<client.Answer>): Promise<unknown> => {
  const answer = await asked
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
  return answer.data
}

/** The sum of a dynamic index over ends and digests, or of a fixed one over digests. */
export const indexSum = (kind: "dynamic" | "fixed", chunks: ReadonlyArray<Chunk>): string => {
  let end = 0
  const parts = chunks.map(({ data, digest }) => {
    end += data.length
    const entry = Buffer.alloc(40)
    entry.writeBigUInt64LE(BigInt(end))
    Buffer.from(digest, "hex").copy(entry, 8)
    return kind === "dynamic" ? entry : entry.subarray(8)
  })
  return sha256(Buffer.concat(parts))
}

export interface Archive {
  readonly name: string
  readonly chunks: ReadonlyArray<Chunk>
}

const kindOf = (name: string): "dynamic" | "fixed" => (name.endsWith(".fidx") ? "fixed" : "dynamic")

export const sizeOf = ({ chunks }: Archive): number => chunks.reduce((sum, { data }) => sum + data.length, 0)

export type Request = readonly [method: string, path: string, asked: client.Asked]

/** The requests that store an archive, one after the other; `known` are not uploaded. */
export const archiveRequests = (
  archive: Archive,
  wid: number,
  known: ReadonlySet<string> = new Set()
): ReadonlyArray<Request> => {
  const kind = kindOf(archive.name)
  const sizeBytes = sizeOf(archive)
  const offsets = archive.chunks.map((_, index) =>
    archive.chunks.slice(0, index).reduce((sum, { data }) => sum + data.length, 0)
  )
  const uploads = archive.chunks
    .filter(
      ({ digest }, index) =>
        !known.has(digest) && archive.chunks.findIndex((c) => c.digest === digest) === index
    )
    .map(({ blob, data, digest }) => {
      const query = { wid, digest, size: data.length, "encoded-size": blob.length }
      return ["POST", `/${kind}_chunk`, { query, body: blob }] as const
    })
  const size = kind === "fixed" ? { size: sizeBytes } : {}
  return [
    ["POST", `/${kind}_index`, { query: { "archive-name": archive.name, ...size } }],
    ...uploads,
    [
      "PUT",
      `/${kind}_index`,
      { json: { wid, "digest-list": archive.chunks.map(({ digest }) => digest), "offset-list": offsets } }
    ],
    [
      "POST",
      `/${kind}_close`,
      {
        query: {
          wid,
          "chunk-count": archive.chunks.length,
          size: sizeBytes,
          csum: indexSum(kind, archive.chunks)
        }
      }
    ]
  ]
}

export const blobRequest = (name: string, blob: Uint8Array) =>
  ["POST", "/blob", { query: { "file-name": name, "encoded-size": blob.length }, body: blob }] as const

export const manifestOf = (
  id: string,
  time: number,
  archives: ReadonlyArray<Archive>,
  blobs: ReadonlyArray<readonly [name: string, blob: Uint8Array]> = []
): Manifest.Manifest =>
  Manifest.make(Snapshot.make(BackupGroup.make("host", id), time), [
    ...archives.map((archive) => ({
      filename: archive.name,
      cryptMode: "none" as const,
      sizeBytes: sizeOf(archive),
      csum: Digest.parse(indexSum(kindOf(archive.name), archive.chunks))
    })),
    ...blobs.map(([filename, blob]) => ({
      filename,
      cryptMode: "none" as const,
      sizeBytes: blob.length,
      csum: Digest.parse(sha256(blob))
    }))
  ])

export const manifestRequest = (manifest: Manifest.Manifest) =>
  blobRequest("index.json.blob", Manifest.encode(manifest))

const samples = new Map<number, ReadonlyArray<Archive>>()

/** A file archive and an image, made once for each seed. */
export const sampleArchives = (seed = 0): ReadonlyArray<Archive> => {
  const made = samples.get(seed) ?? makeSamples(seed)
  samples.set(seed, made)
  return made
}

const makeSamples = (seed: number): ReadonlyArray<Archive> => [
  {
    name: "root.pxar.didx",
    chunks: [5, 6, 7].map((number) => chunkOf(content(seed + number, 70_000 + number), number === 6))
  },
  {
    name: "disk.img.fidx",
    chunks: [
      chunkOf(new Uint8Array(4 * 1024 * 1024), true),
      chunkOf(content(seed + 9, 4 * 1024 * 1024)),
      chunkOf(content(seed + 11, 100_000))
    ]
  }
]

export const sampleBlob = DataBlob.encode(Buffer.from("a configuration\n"), { compress: false })

/** All requests of a backup, in the order in which a client sends them. */
export const backupRequests = (
  id: string,
  time: number,
  archives = sampleArchives()
): ReadonlyArray<Request> => {
  const blobs = [["vm.conf.blob", sampleBlob]] as const
  return [
    ["GET", "/previous_backup_time", {}] as const,
    ...archives.flatMap((archive, index) => archiveRequests(archive, index + 1)),
    ...blobs.map(([name, blob]) => blobRequest(name, blob)),
    manifestRequest(manifestOf(id, time, archives, blobs)),
    ["POST", "/finish", {}] as const
  ]
}

/** A whole backup that succeeds. */
export const backUp = async (
  scene: Pick<Scene, "port" | "admin">,
  id: string,
  time: number,
  archives = sampleArchives()
): Promise<void> => {
  const session = await openSession(scene, "backup", snapshotQuery(id, time))
  for (const [method, path, asked] of backupRequests(id, time, archives)) {
    await good(session.ask(method, path, asked))
  }
  await session.close()
}

/** Names in a snapshot's folder; undefined when it is not there. */
export const namesIn = (base: string, snapshot: string): ReadonlyArray<string> | undefined => {
  const folder = path.join(base, snapshot)
  return existsSync(folder) ? readdirSync(folder).toSorted() : undefined
}

/** Waits for what is about to happen. */
export const eventually = async (condition: () => boolean, what: string): Promise<void> => {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`never happened: ${what}`)
}
