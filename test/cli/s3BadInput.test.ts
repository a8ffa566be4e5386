/**
 * What goes wrong between the program and a bucket that holds a datastore: refused operations, clocks, pages of proxies,
 * objects that others have damaged, keys that are nobody's. One line each, and nothing is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { noise } from "../backup/stores.ts"
import { assertFails } from "../e2e/cli.ts"
import { program } from "../e2e/programPath.ts"
import * as AnsweringServer from "../objectstore/s3/AnsweringServer.ts"
import { mayMount } from "../platform/mounts.ts"
import type * as S3Endpoint from "../s3/S3Endpoint.ts"
import { type S3Scene, start, tell } from "./s3Scene.ts"

const repository = ["-r", "s3:minio/test-bucket/store"]

const timeLimitMillis = 240_000

const withScene = (
  title: string,
  test: (scene: S3Scene) => Promise<void>,
  options: S3Endpoint.Options = {}
): void =>
  it.live(
    title,
    () => Effect.flatMap(start(options), (scene) => Effect.promise(() => test(scene))),
    timeLimitMillis
  )

const made = async (scene: S3Scene): Promise<string> => {
  await scene.createEndpoint()
  await scene.succeed(["init", "--backend", "s3", ...repository])
  const file = path.join(scene.folder, "disk")
  writeFileSync(file, noise("disk", 50_000))
  return file
}

let clock = 1_700_000_000

const backupOf = (file: string): ReadonlyArray<string> => {
  const time = ["--backup-time", String((clock += 3600))]
  return ["backup", ...repository, "--backup-id", "a", ...time, `disk.img:${file}`]
}

const restores = async ({ folder, succeed }: S3Scene, file: string): Promise<void> => {
  const target = path.join(folder, "restored")
  await succeed(["restore", ...repository, "host/a", "disk.img", target])
  assert.isTrue(readFileSync(target).equals(readFileSync(file)))
  rmSync(target)
}

const chunkKey = ({ memory }: S3Endpoint.S3Endpoint): string =>
  memory.keys().find((key) => /\/\.chunks\/[0-9a-f]{4}\/[0-9a-f]{64}$/.test(key)) ?? "none"

/** Operations that the keys may not do now. */
const forbidden = new Set<string>()

const accessDenied = (what: string): RegExp =>
  new RegExp(
    `^error: cannot ${what} store/.*: access denied: .*\\(check the access key, its rights on the bucket`
  )

const refusals: ReadonlyArray<readonly [operations: ReadonlyArray<string>, line: RegExp]> = [
  [["PutObject"], accessDenied("write")],
  [["GetObject"], accessDenied("read")],
  [["ListObjectsV2"], accessDenied("list")]
]

describe("keys that may not do everything", () => {
  withScene(
    "are told by the operation that is refused, and nothing is lost",
    async (scene) => {
      const { endpoint, run, succeed } = scene
      const file = await made(scene)
      await succeed(backupOf(file))
      const before = endpoint.memory.keys()
      for (const [operations, line] of refusals) {
        for (const operation of operations) forbidden.add(operation)
        assertFails(await run(backupOf(file)), 1, line)
        forbidden.clear()
        assert.includeMembers([...endpoint.memory.keys()], [...before])
      }
      const forget = ["forget", ...repository, "host/a", "--yes"]
      forbidden.add("DeleteObject").add("DeleteObjects")
      const refused = await run(forget)
      assert.strictEqual(refused.code, 1)
      assert.match(refused.errors + refused.text, /cannot delete .*access denied/)
      assert.includeMembers([...endpoint.memory.keys()], [...before])
      forbidden.clear()
      await succeed(forget)
      assert.notInclude(endpoint.memory.keys().join("\n"), "index.json.blob")
      await succeed(backupOf(file))
      await restores(scene, file)
    },
    { quirks: { isAllowed: (operation) => !forbidden.has(operation) } }
  )
})

describe("a server with another time", () => {
  withScene(
    "is told in one line",
    async ({ createEndpoint, run }) => {
      await createEndpoint()
      const ended = await run(["snapshots", ...repository])
      assertFails(ended, 1, /the clocks of the server and of this machine differ: .*\(set the clock of this/)
    },
    { quirks: { clockSkewSeconds: 3600 } }
  )
})

const foreignKeys = [
  "store/.chunks/zz/evil",
  "store/.chunks/0000/../../x",
  "store/.cnt/../../etc/passwd",
  "store/.cnt/host/a/not a time/x",
  "store/.cnt/host/a/index.json.blob",
  "store/.cnt/host//x",
  "store/photo.jpg",
  "store2/.cnt/host/a/owner"
]

describe("a bucket that others have been at", () => {
  withScene("tells what they have damaged, and passes over what is theirs", async (scene) => {
    const { endpoint, folder, run, succeed } = scene
    const file = await made(scene)
    await succeed(backupOf(file))
    const key = chunkKey(endpoint)
    const good = endpoint.memory.find(key)?.body ?? new Uint8Array(0)
    const reader = ["-r", "s3:any/test-bucket/store", ...tell(endpoint)]
    const target = path.join(folder, "target")
    for (const body of [good.subarray(0, 100), Buffer.from("something else")]) {
      endpoint.memory.put(key, body, Date.now())
      const corrupt = /^error: chunk [0-9a-f]{64} is corrupt: bad data blob .*\(run verify/
      assertFails(await run(["restore", ...reader, "host/a", "disk.img", target]), 1, corrupt)
      rmSync(target, { force: true })
    }
    const verified = await run(["verify", ...repository])
    assert.strictEqual(verified.code, 1)
    assert.match(verified.text, /is corrupt: .* kept as [0-9a-f]{64}\.0\.bad/)
    await succeed(backupOf(file))

    for (const foreign of foreignKeys) endpoint.memory.put(foreign, Buffer.from("foreign"), 0)
    const refreshed = await succeed(["s3-refresh", ...repository])
    assert.match(
      refreshed.errors,
      /warning: .* 4 keys below .cnt\/ are not a datastore's and were passed over/
    )
    assert.match((await succeed(["gc", ...repository])).text, /2 foreign files left alone/)
    await succeed(["verify", ...reader])
    await restores(scene, file)
    assert.includeMembers([...endpoint.memory.keys()], foreignKeys)
  })

  it.live("when it is a proxy that answers with a page", () =>
    Effect.gen(function* () {
      const { run } = yield* start()
      const page = { status: 200, headers: { "content-type": "text/html" }, body: "<html>Log in</html>" }
      const proxy = yield* AnsweringServer.start(AnsweringServer.saying(page))
      const server = ["--s3-endpoint", `http://127.0.0.1:${proxy.port}`, "--s3-path-style"]
      const keys = ["--s3-access-key", "a", "--s3-secret-key", "b"]
      for (const command of ["snapshots", "verify"]) {
        const args = [command, "-r", "s3:any/test-bucket/store", ...server, ...keys]
        const ended = yield* Effect.promise(() => run(args))
        assertFails(ended, 1, /the answer is not that of an S3 server/)
      }
    })
  )
})

/** A cache folder on a disk of one MiB, which is full for a while. */
const fullDisk = `
disk=$1; file=$2; node=$3; program=$4
granary() {
  "$node" --disable-warning=ExperimentalWarning "$program" "$@" \
    -r s3:minio/test-bucket/store --cache "$disk/cache"
}
mount -t tmpfs -o size=1m,nr_inodes=200k none "$disk"
granary init --backend s3
granary backup --backup-id a --backup-time 1700000000 "disk.img:$file"
cat /dev/zero > "$disk/fill" 2>/dev/null || true
echo full >&2
if granary backup --backup-id a --backup-time 1700003600 "disk.img:$file"; then exit 9; fi
echo emptied >&2
rm "$disk/fill"
granary backup --backup-id a --backup-time 1700007200 "disk.img:$file"
granary verify
granary restore host/a disk.img "$file.restored"
`

/** Its server lives in this process, which must not stand still meanwhile. */
const runOnFullDisk = async ({ folder }: S3Scene, disk: string, file: string) => {
  const shell = ["sh", "-ec", fullDisk, "sh", disk, file, process.execPath, program]
  const child = spawn("unshare", ["-m", "--propagation", "private", ...shell], {
    cwd: path.resolve(import.meta.dirname, "../.."),
    env: { ...process.env, NO_COLOR: "1", HOME: folder, XDG_CONFIG_HOME: path.join(folder, "config") },
    stdio: ["ignore", "ignore", "pipe"]
  })
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (errors += piece))
  const [code] = await once(child, "close")
  return { code: Number(code), errors }
}

describe.skipIf(!mayMount)("a cache disk that is full", () => {
  withScene(
    "is no obstacle for chunks; without room for an index it is told, and nothing is lost",
    async (scene) => {
      await scene.createEndpoint()
      const [file, disk] = [path.join(scene.folder, "disk"), path.join(scene.folder, "mounted")]
      mkdirSync(disk)
      writeFileSync(file, noise("disk", 5_000_000))
      const { code, errors } = await runOnFullDisk(scene, disk, file)
      assert.strictEqual(code, 0, errors)
      const whileFull = errors.slice(errors.indexOf("full\n") + 5, errors.indexOf("emptied\n"))
      const lines = whileFull.split("\n").filter((line) => line.startsWith("error: "))
      assert.lengthOf(lines, 1, errors)
      assert.match(lines[0] ?? "", /no space left|full/i)
      assert.isTrue(readFileSync(`${file}.restored`).equals(readFileSync(file)))
    }
  )
})
