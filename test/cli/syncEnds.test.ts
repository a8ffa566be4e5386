/** `granary sync` with keys, with datastores in buckets, and by a job with everything that a job can say. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, makeStore } from "../e2e/cli.ts"
import { start, tell } from "./s3Scene.ts"
import { day, makeScene, namesIn, type Summary } from "./syncScene.ts"

const scene = makeScene()
const { backUp, contentOf, inFolder, run, succeed, sync } = scene
let source: string

beforeAll(async () => {
  source = makeStore(scene.folder.path, "source")
  await backUp(source, "a", 1)
  await backUp(source, "a", 2)
  await backUp(source, "b", 3)
})
afterAll(() => scene.folder.remove())

const imageIn = async (store: string, id: string, ...rest: ReadonlyArray<string>): Promise<Buffer> =>
  (await succeed("restore", "-r", store, ...rest, `host/${id}`, "disk.img", "-")).output

interface Listed {
  readonly files: ReadonlyArray<{ readonly filename: string; readonly "crypt-mode": string }>
  readonly owner?: string
}

const modesIn = async (store: string): Promise<ReadonlySet<string>> => {
  const { text } = await succeed("snapshots", "-r", store, "--output", "json")
  const listed: ReadonlyArray<Listed> = JSON.parse(text)
  // The manifest is never encrypted.
  const files = listed.flatMap((one) => one.files).filter(({ filename }) => filename !== "index.json.blob")
  return new Set(files.map((file) => file["crypt-mode"]))
}

describe("granary sync with a key", () => {
  it("encrypts on the way out and decrypts on the way back, and no other key opens what lies there", async () => {
    const [key, other] = [inFolder("key"), inFolder("other-key")]
    for (const file of [key, other]) await succeed("key", "create", file, "--kdf", "none")
    const [away, back, unopened] = ["away", "back", "unopened"].map((name) =>
      makeStore(scene.folder.path, name)
    )
    const pushed = await sync("push", "--from", source, "--to", away!, "--encrypt", "--keyfile", key)
    assert.strictEqual(pushed.chunks, 3)
    assert.deepStrictEqual(await modesIn(away!), new Set(["encrypt"]))
    assert.isTrue((await imageIn(away!, "a", "--keyfile", key)).equals(contentOf("a", 2)))
    assertFails(await run("restore", "-r", away!, "host/a", "disk.img", "-"), 1, /key/)

    await sync("pull", "--from", away!, "--to", back!, "--decrypt", "--keyfile", key)
    assert.deepStrictEqual(await modesIn(back!), new Set(["none"]))
    assert.isTrue((await imageIn(back!, "a")).equals(contentOf("a", 2)))
    await succeed("verify", "-r", back!)

    await sync("pull", "--from", away!, "--to", unopened!, "--decrypt", "--keyfile", other)
    assert.deepStrictEqual(await modesIn(unopened!), new Set(["encrypt"]))
    const again = await sync("push", "--from", source, "--to", away!, "--encrypt", "--keyfile", key)
    assert.strictEqual(again["snapshots"], 0)
    assertFails(
      await run("sync", "push", "--from", source, "--to", away!, "--encrypt", "--keyfile", inFolder("none")),
      1,
      /none/
    )
  })
})

describe("granary sync run", () => {
  it("does all that a job can ask for", async () => {
    const target = makeStore(scene.folder.path, "job-target")
    await succeed("datastore", "create", "origin", source, "--reuse")
    await succeed("datastore", "create", "offsite", target, "--reuse")
    await succeed("sync", "pull", "--from", source, "--to", target, "--to-ns", "copies/of")
    await backUp(target, "gone", 4, "--ns", "copies/of")
    const ends = ["--store", "offsite", "--remote-store", "origin", "--ns", "copies/all"]
    const whose = ["--sync-direction", "pull", "--owner", "owner@pbs", "--max-depth", "0"]
    const filters = ["--group-filter", "type:host", "--group-filter", "exclude:group:host/b"]
    const which = ["--transfer-last", "1", "--encrypted-only", "false", "--verified-only", "false"]
    const repair = ["--remove-vanished", "true", "--resync-corrupt", "true", "--schedule", "daily"]
    const rates = ["--rate-in", "1GiB", "--burst-in", "2GiB", "--rate-out", "1GiB", "--burst-out", "2GiB"]
    const more = ["--worker-threads", "4", "--comment", "everything"]
    const all = [...ends, ...whose, ...filters, ...which, ...repair, ...rates, ...more]
    await succeed("job", "sync", "create", "all", ...all)
    const done: Summary = JSON.parse((await succeed("sync", "run", "all", "--output", "json")).text)
    assert.strictEqual(done["direction"], "pull")
    assert.deepInclude(done.groups[0]!, { group: "host/a", "target-ns": "copies/all", snapshots: 1 })
    assert.lengthOf(done.groups, 1)
    assert.strictEqual(done.chunks, 0, "they are there, below another namespace")
    assert.deepStrictEqual(namesIn(target, "ns/copies/ns/all/host/a"), [day(2)])
    assert.match(readFileSync(path.join(target, "ns/copies/ns/all/host/a/owner"), "utf8"), /^owner@pbs/)
    assert.deepStrictEqual(namesIn(target, "ns/copies/ns/of/host/gone"), [day(4)])

    await succeed("job", "sync", "update", "all", "--ns", "copies/of", "--owner", "root@pam")
    const removed: Summary = JSON.parse((await succeed("sync", "run", "all", "--output", "json")).text)
    assert.deepStrictEqual(removed.removed, { groups: 1, snapshots: 1, namespaces: 0 })
    assert.deepStrictEqual(namesIn(target, "ns/copies/ns/of/host/b"), [day(3)], "the filter is a promise")

    await succeed("job", "sync", "update", "all", "--verified-only", "true", "--ns", "verified")
    const verified: Summary = JSON.parse((await succeed("sync", "run", "all", "--output", "json")).text)
    assert.deepInclude(verified.groups[0]!, { snapshots: 0, "skipped-snapshots": { "not verified": 2 } })
  })
})

describe("granary sync with a bucket", () => {
  it.live("goes there and comes back, also from one whose address alone is known", () =>
    Effect.flatMap(start(), (s3) =>
      Effect.promise(async () => {
        const repository = "s3:minio/test-bucket/store"
        await s3.createEndpoint()
        await s3.succeed(["init", "--backend", "s3", "-r", repository])
        const push = ["sync", "push", "--from", source, "--to", repository, "--parallel-groups", "2"]
        const planned = await s3.succeed([...push, "--dry-run"])
        assert.match(planned.text, /would copy or check 3 snapshots in 2 groups: 3 chunks of 3/)
        const pushed = await s3.document<Summary>(push)
        assert.strictEqual(pushed.chunks, 3)
        const again = await s3.succeed(push)
        assert.match(again.text, /^pushed 0 snapshots in 2 groups: 0 chunks/m)
        assert.match(again.errors, /^s3: [\d,]+ requests? \(.*\), .* sent, .* received$/m)

        const target = makeStore(s3.folder, "from-bucket")
        await s3.succeed(["sync", "pull", "--from", repository, "--to", target])
        assert.isTrue((await imageIn(target, "a")).equals(contentOf("a", 2)))
        const straight = makeStore(s3.folder, "straight")
        const told = tell(s3.endpoint)
        await s3.succeed(["sync", "pull", "--from", "s3:any/test-bucket/store", "--to", straight, ...told])
        assert.isTrue((await imageIn(straight, "b")).equals(contentOf("b", 3)))
        const same = await s3.run(["sync", "pull", "--from", repository, "--to", repository])
        assertFails(same, 1, /source and target are the same datastore, s3:minio/)
      })
    )
  )
})
