/**
 * Plans of commands on a bucket beside the commands: what `--plan` says of requests and bytes is what the same command
 * then asks of the server.
 */
import { assert, describe } from "@effect/vitest"
import { appendFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails } from "../e2e/cli.ts"
import {
  assertEqualBytes,
  backupOf,
  cacheOf,
  compare,
  made,
  makeImage,
  planOf,
  repository,
  requestsOf,
  usedBy,
  withScene
} from "./costScene.ts"
import { type S3Scene, tell } from "./s3Scene.ts"

const chunkFilesIn = (cache: string): ReadonlyArray<string> =>
  readdirSync(path.join(cache, ".chunks"), { recursive: true, encoding: "utf8" })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(cache, ".chunks", name))

/** As if the cache had been full: markers without content. */
const emptyCache = (cache: string): void => {
  for (const file of chunkFilesIn(cache)) writeFileSync(file, "")
}

describe("the plan of a backup", () => {
  withScene("is what the backup costs, first and again, alone and beside another host", async (scene) => {
    const source = await made(scene)
    const image = makeImage(scene.folder)
    const config = path.join(source, "hello.txt")
    const all = [`disk.img:${image}`, `a.conf:${config}`]
    const first = await compare(scene, backupOf(source, 1_700_000_000, ...all))
    assertEqualBytes(first.expected, first.used)
    assert.isAbove(first.expected["bytes-out"], 13_000_000)
    assert.deepInclude(first.planned, { plan: true })
    assert.deepInclude(first.expected, { "requests-are": "about", "bytes-are": "about" })
    assert.isAtMost(Math.abs(first.expected["stored-bytes"] - first.used["bytes-out"]), 1024)

    appendFileSync(path.join(source, "noise"), "more")
    const split = ["--change-detection", "metadata"]
    const second = await compare(scene, backupOf(source, 1_700_000_060, ...split))
    const third = await compare(scene, backupOf(source, 1_700_000_120, ...split, "--known-chunks", "finish"))
    for (const { expected, used } of [second, third]) assertEqualBytes(expected, used)
    assert.isBelow(third.expected["bytes-out"], 100_000)

    // Another host takes everything over, and knows no chunk.
    const second_host = path.join(scene.folder, "second")
    const init = ["init", "--backend", "s3", "-r", repository, "--reuse", "--overwrite-in-use", second_host]
    await scene.succeed(init)
    const there = ["--cache", second_host]
    const other = await compare(scene, backupOf(source, 1_700_000_180, ...there))
    assertEqualBytes(other.expected, other.used)
    assert.isAbove(other.expected["get-requests"], first.expected["get-requests"])
    // What the first one does not reuse was stored by itself: it is looked for, and not sent.
    const unknown = await compare(scene, backupOf(source, 1_700_000_240, "--no-reuse", ...there))
    assertEqualBytes(unknown.expected, unknown.used)
  })

  withScene("knows --dry-run, fails as the backup does, and needs a cache folder too", async (scene) => {
    const source = await made(scene)
    const dry = await scene.succeed([...backupOf(source, 1_700_000_000), "--dry-run"])
    assert.match(dry.text, /^would store .* for .* of new data; 0 B \(0\.0%\) is there already$/m)
    assert.match(dry.text, /^nothing was stored; the snapshot would be host\/a\/2023-11-14T22:13:20Z$/m)
    assert.match(
      dry.text,
      /^s3 would take: about \d+ requests \(.*\), about .* sent, about .* received; about .* more stored$/m
    )
    assert.match(dry.errors, /^s3 planning: 3 requests \(2 get, 1 list\), 0 B sent, 32 B received$/m)
    assert.match((await scene.succeed(["snapshots", "-r", repository])).text, /^no snapshots$/m)
    await scene.succeed(backupOf(source, 1_700_000_000))
    assertFails(await scene.run([...backupOf(source, 1_700_000_000), "--plan"]), 1, /has a snapshot of/)
    assertFails(
      await scene.run([
        ...backupOf(source, 1_700_000_060),
        "--plan",
        "--cache",
        path.join(scene.folder, "none")
      ]),
      1,
      /writing needs a cache folder/
    )
    const folder = path.join(scene.folder, "local")
    await scene.succeed(["init", folder])
    const local = await scene.succeed(["backup", "-r", folder, `a.pxar:${source}`, "--plan"])
    assert.match(local.text, /would store .* for .* of new data/)
    assert.notInclude(local.text + local.errors, "s3")
  })
})

describe("the plan of a restore", () => {
  withScene("is what the restore costs: with everything, with nothing and without a cache", async (scene) => {
    const source = await made(scene)
    const image = makeImage(scene.folder)
    await scene.succeed(
      backupOf(source, 1_700_000_000, `disk.img:${image}`, `a.conf:${path.join(source, "text")}`)
    )
    let number = 0
    const restore = (archive: string, ...rest: ReadonlyArray<string>): ReadonlyArray<string> => {
      const target = path.join(scene.folder, `restored ${(number += 1)}`)
      return ["restore", "-r", repository, "host/a", archive, target, ...rest]
    }
    const cached = await compare(scene, restore("a.pxar"))
    assert.strictEqual(cached.expected.requests, 0)
    assert.strictEqual(cached.planned["cached-chunks"], cached.planned["chunks"])

    emptyCache(cacheOf(scene))
    const fetched = await compare(scene, restore("a.pxar"))
    assert.strictEqual(fetched.expected["get-requests"], fetched.planned["chunks"])
    assert.deepInclude(fetched.expected, { "requests-are": "at most", "bytes-are": "at most" })
    // Their sizes were recorded when they were uploaded.
    assert.strictEqual(fetched.used["bytes-in"], fetched.expected["bytes-in"])
    assert.strictEqual((await planOf(scene, restore("a.pxar")))["s3-plan"].requests, 0)

    emptyCache(cacheOf(scene))
    rmSync(path.join(cacheOf(scene), ".granary-uploads"), { recursive: true })
    const disk = await compare(scene, restore("disk.img"))
    // One chunk of content in two places, the end, and no zeros.
    assert.strictEqual(disk.expected["get-requests"], 2)
    assert.isAbove(disk.expected["bytes-in"], disk.used["bytes-in"])
    assert.isBelow(disk.expected["bytes-in"], disk.used["bytes-in"] + 200)
    assert.strictEqual((await compare(scene, restore("a.conf"))).expected.requests, 0)

    emptyCache(cacheOf(scene))
    const part = restore("a.pxar", "--include", "hello.txt")
    const selected = await planOf(scene, part)
    const { "get-requests": gets } = await usedBy(scene, part)
    assert.isAtMost(gets, selected["s3-plan"]["get-requests"])
    assert.strictEqual(selected["s3-plan"]["requests-are"], "at most")

    const told = tell(scene.endpoint)
    const elsewhere = (archive: string): ReadonlyArray<string> => {
      const [, , , ...rest] = restore(archive)
      return ["restore", "-r", "s3:anything/test-bucket/store", ...rest, ...told]
    }
    const stateless = await compare(scene, elsewhere("a.pxar"))
    assert.isAbove(stateless.expected["get-requests"], Number(stateless.planned["chunks"]))
    assert.strictEqual((await compare(scene, elsewhere("a.conf"))).expected["requests-are"], "exactly")
    const repeated = await planOf(scene, elsewhere("disk.img"))
    assert.strictEqual(repeated["s3-plan"]["requests-are"], "at most")
    const used = await usedBy(scene, elsewhere("disk.img"))
    assert.isAtMost(used["get-requests"], repeated["s3-plan"]["get-requests"])
    const piped = ["restore", "-r", repository, "host/a", "a.pxar", "-", "--plan"]
    assert.match((await scene.succeed(piped)).text, /^would restore a\.pxar to standard output: /)
  })
})

describe("the plan of a verification", () => {
  withScene("is what the verification costs, at any depth", async (scene) => {
    const source = await made(scene)
    const config = path.join(source, "hello.txt")
    await scene.succeed(backupOf(source, 1_700_000_000, `a.conf:${config}`))
    await scene.succeed(backupOf(source, 1_700_000_060, "--change-detection", "data"))
    const verify = (...rest: ReadonlyArray<string>) => ["verify", "-r", repository, ...rest]
    const full = await compare(scene, verify())
    assert.deepInclude(full.expected, {
      "put-requests": 2,
      "requests-are": "exactly",
      "bytes-are": "at most"
    })
    assert.isAtMost(full.expected["bytes-in"], full.used["bytes-in"] * 1.01)
    await compare(scene, verify("--sample", "50%", "--sample-seed", "seed"))
    const listed = await compare(scene, verify("--depth", "listed"))
    assert.deepInclude(requestsOf(listed.expected), { put: 0, get: 0, list: 2 })
    const told = ["verify", "-r", "s3:anything/test-bucket/store", ...tell(scene.endpoint)]
    await compare(scene, told)
    const { errors } = await scene.succeed(verify())
    const [expected, used] = errors.trim().split("\n").slice(-2)
    assert.match(expected ?? "", /^s3 expected: \d+ requests \(2 put, \d+ get\), at most .* sent, at most /)
    assert.match(used ?? "", /^s3: \d+ requests \(2 put, \d+ get\), .* sent, .* received$/)
    assert.strictEqual(
      /\d+ requests \(.*?\)/.exec(expected ?? "")?.[0],
      /\d+ requests \(.*?\)/.exec(used ?? "")?.[0]
    )
  })
})

describe("the plan of a refresh", () => {
  withScene("is what the refresh costs, to the byte", async (scene) => {
    const source = await made(scene)
    await scene.succeed(backupOf(source, 1_700_000_000))
    const { expected, used } = await compare(scene, ["s3-refresh", "-r", repository])
    assert.strictEqual(used["bytes-in"], expected["bytes-in"])
    assert.deepInclude(expected, { "requests-are": "exactly", "bytes-are": "exactly", "bytes-out": 0 })
    assert.deepInclude(requestsOf(expected), { list: 3, get: 4 })
  })
})

const dayMillis = 86_400_000

/** Everything was stored, and used last, two days ago. */
const makeOld = ({ endpoint }: S3Scene, cache: string): void => {
  endpoint.memory.age(2 * dayMillis)
  for (const file of chunkFilesIn(cache)) {
    const { atimeMs, mtimeMs } = statSync(file)
    utimesSync(file, (atimeMs - 2 * dayMillis) / 1000, (mtimeMs - 2 * dayMillis) / 1000)
  }
}

describe("the plan of a garbage collection", () => {
  withScene("is what the collection costs, and what it will do", async (scene) => {
    const source = await made(scene)
    await scene.succeed(backupOf(source, 1_700_000_000))
    rmSync(path.join(source, "noise"))
    await scene.succeed(backupOf(source, 1_700_000_060))
    await scene.succeed(["forget", "-r", repository, "host/a/2023-11-14T22:13:20Z"])
    const gc = ["gc", "-r", repository]
    const young = await compare(scene, gc)
    assert.deepInclude(requestsOf(young.expected), { put: 2, delete: 1 })
    makeOld(scene, cacheOf(scene))
    const removing = await compare(scene, gc)
    assert.isAbove(Number(removing.planned["removed-chunks"]), 1)
    assert.strictEqual(removing.expected["stored-bytes"], -Number(removing.planned["removed-bytes"]))
    // The batch, and its own mark; the generation, its own mark and the clock.
    assert.deepInclude(requestsOf(removing.expected), { delete: 2, put: 3 })
    const dry = await scene.succeed([...gc, "--dry-run"])
    assert.match(dry.text, /^would remove: 0 chunks, 0 B$/m)
    assert.match(dry.text, /^s3 would take: \d+ requests \(.*\), .* sent, .* received$/m)
    assert.match(dry.errors, /^s3 planning: \d+ requests \(.*\), 0 B sent, .* received$/m)
    // One number of requests in a plan; what the collection itself took, beside what the command took, after it.
    assert.notMatch(dry.text, /took \d+ requests/)
    const { text } = await scene.succeed(gc)
    assert.match(text, /^the collection itself took \d+ requests to the bucket: \d+ lists?, \d+ deletions?$/m)
    for (const told of [dry.text, text]) assert.notMatch(told, /\b0 [a-z]+\/s/)
  })
})
