/** What a backup asks of a server: in which order, with which parameters, and nothing named before it is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Digest from "../../src/model/Digest.ts"
import type { Remote } from "../../src/remote/Remote.ts"
import type * as Calls from "../../src/remote/RemoteBackupCalls.ts"
import * as RemoteBackupIndex from "../../src/remote/RemoteBackupIndex.ts"
import { RemoteError } from "../../src/remote/RemoteError.ts"
import { noise, writeAt } from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import * as Transcript from "../server/Transcript.ts"
import { backUp, client } from "./backups.ts"

const archive = ArchiveName.fromClient("root.pxar")

interface Appended {
  readonly digests: ReadonlyArray<string>
  readonly offsets: ReadonlyArray<number>
}

/** A server that takes everything; what is appended is noted. */
const recorder = () => {
  const appended: Array<Appended> = []
  const calls: Calls.BackupCalls = {
    server: "server:8007",
    previousTime: Effect.succeed(undefined),
    previous: () => Effect.die("nobody asks"),
    createIndex: () => Effect.succeed(1),
    uploadChunk: () => Effect.void,
    append: (_kind, _wid, digests, offsets) => Effect.sync(() => void appended.push({ digests, offsets })),
    closeIndex: () => Effect.void,
    uploadBlob: () => Effect.void,
    finish: Effect.void
  }
  return { appended, calls }
}

const digestOf = (number: number): Digest.Digest => Digest.parse(number.toString(16).padStart(64, "0"))
const closing = { count: 1, sizeBytes: 10, checksum: digestOf(0) }

describe("an index on a server", () => {
  it.live("is appended to in order, many chunks at a time", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { appended, calls } = recorder()
        const index = yield* RemoteBackupIndex.open(
          calls,
          new RemoteBackupIndex.Landings(),
          archive,
          undefined
        )
        const count = 5000
        for (let chunk = 0; chunk < count; chunk++) index.append(Digest.toBytes(digestOf(chunk)), 10)
        yield* index.close(closing)
        assert.deepStrictEqual(
          appended.map(({ digests }) => digests.length),
          [4096, count - 4096]
        )
        const numbers = Array.from({ length: count }, (_, number) => number)
        assert.deepStrictEqual(
          appended.flatMap(({ digests }) => digests),
          numbers.map(digestOf)
        )
        assert.deepStrictEqual(
          appended.flatMap(({ offsets }) => offsets),
          numbers.map((number) => number * 10)
        )
        // A server takes bodies of 512 KiB.
        const offsets = numbers.map(() => 10 ** 14)
        const body = JSON.stringify({
          "digest-list": appended[0]?.digests,
          "offset-list": offsets.slice(0, 4096),
          wid: 256
        })
        assert.isBelow(body.length, 512 * 1024)
      })
    )
  )

  it.live("names no chunk that is still on its way, and none that never arrived", () =>
    Effect.scoped(
      Effect.gen(function* () {
        for (const arrives of [true, false]) {
          const { appended, calls } = recorder()
          const landings = new RemoteBackupIndex.Landings()
          const index = yield* RemoteBackupIndex.open(calls, landings, archive, undefined)
          // Another archive of the session is uploading it.
          landings.expect(digestOf(7))
          index.append(Digest.toBytes(digestOf(7)), 10)
          const closed = yield* Deferred.make<Exit.Exit<void, RemoteError>>()
          const fiber = yield* Effect.forkChild(
            Effect.flatMap(Effect.exit(index.close(closing)), (exit) => Deferred.succeed(closed, exit)),
            { startImmediately: true }
          )
          yield* Effect.sleep("20 millis")
          assert.isEmpty(appended)
          const error = new RemoteError({ reason: "Refused", server: "server:8007", detail: "no room" })
          landings.settle(digestOf(7), arrives ? Exit.void : Exit.fail(error))
          yield* Fiber.join(fiber)
          const exit = yield* Deferred.await(closed)
          assert.strictEqual(exit._tag, arrives ? "Success" : "Failure")
          assert.lengthOf(appended, arrives ? 1 : 0)
        }
      })
    )
  )
})

interface Asked {
  readonly method: string
  readonly path: string
  readonly names: ReadonlyArray<string>
}

const signature = ({ method, names, path }: Asked): string =>
  `${method} ${path} ${names.toSorted().join(" ")}`

/** The client of a remote, with what is asked in its sessions noted. */
const noting = (remote: Remote, asked: Array<Asked>): Remote => ({
  ...remote,
  begin: (protocol, parameters) => {
    asked.push({
      method: "GET",
      path: `/api2/json/${protocol}`,
      names: [...Object.keys(parameters), "store"]
    })
    return Effect.map(remote.begin(protocol, parameters), ({ bytes, call, ...session }) => ({
      ...session,
      call: (method, path, query, body) =>
        Effect.suspend(() => {
          const json = body !== undefined && "json" in body ? Object.keys(body.json as object) : []
          asked.push({ method, path, names: [...Object.keys(query), ...json] })
          return call(method, path, query, body)
        }),
      bytes: (path, query, maxBytes) =>
        Effect.suspend(() => {
          asked.push({ method: "GET", path, names: Object.keys(query) })
          return bytes(path, query, maxBytes)
        })
    }))
  }
})

describe("a backup", () => {
  it.live("asks for what Proxmox Backup Server's client was recorded to ask for", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { remote } = yield* client
        const root = yield* scratchFolder
        const image = join(yield* scratchFolder, "image")
        writeFileSync(image, noise("image", 5000))
        const archives = [
          { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root },
          { kind: "image", archive: ArchiveName.fromClient("drive-scsi0.img"), path: image },
          {
            kind: "blob",
            archive: ArchiveName.fromClient("qemu-server.conf"),
            content: Effect.succeed(Buffer.from("a"))
          }
        ] as const
        for (const name of ["01-backup-legacy-first.txt", "02-backup-legacy-incremental.txt"]) {
          writeAt(join(root, "file"), noise(name, 5000), 1_600_000_000)
          writeFileSync(image, noise(name, 5000))
          const asked: Array<Asked> = []
          yield* backUp(noting(remote, asked), root, { archives })
          const [recorded] = Transcript.read(name)
          assert.isDefined(recorded)
          const theirs = [recorded!.opening, ...recorded!.calls].map(({ body, method, path, query }) => {
            const json = path.endsWith("_index") && method === "PUT" ? JSON.parse(body) : {}
            return { method, path: path.replace("//", "/"), names: [...query.keys(), ...Object.keys(json)] }
          })
          const own = new Set(asked.map(signature))
          assert.deepStrictEqual(
            [...new Set(theirs.map(signature))].filter((one) => !own.has(one)),
            []
          )
          const known = new Set(theirs.map(signature))
          assert.deepStrictEqual(
            [...own].filter((one) => !known.has(one)),
            []
          )
          const paths = asked.map(({ method, path }) => `${method} ${path}`)
          assert.strictEqual(paths[1], "GET /previous_backup_time")
          assert.deepStrictEqual(paths.slice(-2), ["POST /blob", "POST /finish"])
          for (const kind of ["dynamic", "fixed"]) {
            const order = [
              `POST /${kind}_index`,
              `POST /${kind}_chunk`,
              `PUT /${kind}_index`,
              `POST /${kind}_close`
            ]
            const firsts = order.map((path) => paths.indexOf(path))
            assert.deepStrictEqual(
              firsts,
              firsts.toSorted((left, right) => left - right)
            )
            assert.isAbove(firsts[0] ?? 0, 0)
          }
        }
      })
    )
  )
})
