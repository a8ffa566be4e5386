/** Endpoints by name in a configuration folder: on a real disk, because modes and locks are part of the promise. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as ConfigFolder from "../../src/config/ConfigFolder.ts"
import * as Endpoints from "../../src/config/Endpoints.ts"
import { FileLocks } from "../../src/platform/FileLocks.ts"
import type { Files } from "../../src/platform/Files.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { scratchFolder } from "../platform/scratch.ts"

const platform = Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer)

const endpoint = (id: string, texts: Endpoints.Endpoint["texts"] = {}): Endpoints.Endpoint => ({
  id,
  texts: { endpoint: "s3.example.org", "access-key": "AKIA", "secret-key": "s3cr3t", ...texts }
})

const inFolder = <A, E>(
  title: string,
  test: (folder: string) => Effect.Effect<A, E, Layer.Success<typeof platform>>
): void =>
  it.live(title, () =>
    Effect.flatMap(scratchFolder, (parent) =>
      Effect.provide(test(path.join(parent, "new/granary")), platform)
    )
  )

const refusal = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("Endpoints", () => {
  inFolder("are none where nothing was made", (folder) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Endpoints.list(folder), [])
      assert.isFalse(existsSync(folder))
      assert.match(
        yield* refusal(Endpoints.get(folder, "minio")),
        /minio: there is no such endpoint in .*s3\.cfg/
      )
    })
  )

  inFolder("are kept in the form of Proxmox Backup Server, for their owner's eyes", (folder) =>
    Effect.gen(function* () {
      const quirks = "skip-if-none-match-header, delete-objects-via-delete-object"
      const made = endpoint("minio", { "path-style": "true", "provider-quirks": quirks, region: " " })
      yield* Endpoints.create(folder, made)
      const file = path.join(folder, "s3.cfg")
      assert.strictEqual(
        readFileSync(file, "utf8"),
        "s3-endpoint: minio\n\taccess-key AKIA\n\tendpoint s3.example.org\n\tpath-style true\n" +
          "\tprovider-quirks skip-if-none-match-header\n" +
          "\tprovider-quirks delete-objects-via-delete-object\n\tsecret-key s3cr3t\n"
      )
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
      const { texts } = yield* Endpoints.get(folder, "minio")
      assert.strictEqual(texts["provider-quirks"], quirks.replace(" ", ""))
      assert.strictEqual(texts["secret-key"], "s3cr3t")
    })
  )

  inFolder("change without touching what is not theirs", (folder) =>
    Effect.gen(function* () {
      mkdirSync(folder, { recursive: true })
      const file = path.join(folder, "s3.cfg")
      const foreign = "other: thing\n\tkey value\n\n"
      writeFileSync(file, `${foreign}s3-endpoint: minio\n\tendpoint a.example\n\tnew-key 1\n\tregion x1\n`, {
        mode: 0o644
      })
      yield* Endpoints.update(folder, "minio", { region: "", port: "9000" })
      const expected = `${foreign}s3-endpoint: minio\n\tendpoint a.example\n\tnew-key 1\n\tport 9000\n`
      assert.strictEqual(readFileSync(file, "utf8"), expected)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      yield* Endpoints.create(folder, endpoint("second"))
      yield* Endpoints.remove(folder, "minio")
      assert.deepStrictEqual(
        (yield* Endpoints.list(folder)).map(({ id }) => id),
        ["second"]
      )
      assert.isTrue(readFileSync(file, "utf8").startsWith(foreign))
    })
  )

  inFolder("refuse what could not be used, and leave the file as it is", (folder) =>
    Effect.gen(function* () {
      yield* Endpoints.create(folder, endpoint("minio"))
      const before = readFileSync(path.join(folder, "s3.cfg"), "utf8")
      const refusals: ReadonlyArray<
        readonly [Effect.Effect<void, Endpoints.EndpointError, Files | FileLocks>, RegExp]
      > = [
        [Endpoints.create(folder, endpoint("minio")), /minio: .* has a section of this name/],
        [Endpoints.create(folder, endpoint("a/b")), /"a\/b": this is no name for an endpoint/],
        [Endpoints.create(folder, endpoint("ab")), /3 to 32/],
        [
          Endpoints.create(folder, endpoint("other", { endpoint: "http://s3.example.org" })),
          /expected https/
        ],
        [Endpoints.create(folder, endpoint("other", { endpoint: "" })), /endpoint: expected/],
        [Endpoints.create(folder, endpoint("other", { fingerprint: "aa" })), /fingerprint/],
        [Endpoints.update(folder, "minio", { port: "0" }), /port "0"/],
        [Endpoints.update(folder, "none", { port: "1" }), /none: there is no such endpoint/],
        [Endpoints.remove(folder, "none"), /none: there is no such endpoint/]
      ]
      for (const [refused, line] of refusals) assert.match(yield* refusal(refused), line)
      assert.strictEqual(readFileSync(path.join(folder, "s3.cfg"), "utf8"), before)
    })
  )

  inFolder("do not get lost when many are made at once", (folder) =>
    Effect.gen(function* () {
      const ids = Array.from({ length: 12 }, (_, index) => `minio-${index}`)
      yield* Effect.forEach(ids, (id) => Endpoints.create(folder, endpoint(id)), { concurrency: "unbounded" })
      const found = yield* Endpoints.list(folder)
      assert.deepStrictEqual(found.map(({ id }) => id).toSorted(), ids.toSorted())
    })
  )

  inFolder("wait for another program", (folder) =>
    Effect.gen(function* () {
      yield* ConfigFolder.makeFolders(folder)
      const { tryLock } = yield* FileLocks
      const held = tryLock(path.join(folder, ".s3.lck"), { offset: 0, length: 1 }, "exclusive")
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isTrue(yield* held)
          const waiting = yield* Effect.forkScoped(Endpoints.create(folder, endpoint("minio")))
          yield* Effect.sleep(200)
          assert.isUndefined(waiting.pollUnsafe())
        })
      )
      assert.isFalse(existsSync(path.join(folder, "s3.cfg")))
    })
  )

  inFolder("are not read from a file that makes no sense, and no key is told", (folder) =>
    Effect.gen(function* () {
      mkdirSync(folder, { recursive: true })
      const file = path.join(folder, "s3.cfg")
      writeFileSync(file, "s3-endpoint: minio\nsecret-key hunter2\n")
      const line = yield* refusal(Endpoints.list(folder))
      assert.match(line, /s3\.cfg: expected an indented key.*line 2, section "s3-endpoint: minio"/)
      assert.notInclude(line, "hunter2")
      writeFileSync(file, Buffer.from([0x61, 0xff]))
      assert.match(yield* refusal(Endpoints.create(folder, endpoint("minio"))), /text in UTF-8/)
    })
  )
})
