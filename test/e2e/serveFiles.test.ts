/** `granary serve-files`, as its users run it, with the clients they use: fetch, curl, rclone, cadaver. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import {
  assertFails,
  fastFolder,
  granary,
  makeStore,
  type Running,
  start,
  succeed,
  until,
  workFolder
} from "./cli.ts"

const fast = fastFolder()
const work = workFolder()
const source = path.join(work.path, "source")
const image = path.join(work.path, "disk.img")
const keyFile = path.join(work.path, "key.json")
let store = ""

const mebibyte = 1024 * 1024
const random = (sizeBytes: number): Buffer => randomBytes(sizeBytes)

const makeSource = (): void => {
  mkdirSync(path.join(source, "sub/deeper & deeper"), { recursive: true })
  writeFileSync(path.join(source, "large.bin"), random(9 * mebibyte + 5))
  writeFileSync(path.join(source, "empty"), "")
  writeFileSync(path.join(source, "program.sh"), "#!/bin/sh\n")
  chmodSync(path.join(source, "program.sh"), 0o755)
  for (const name of ["grüße.txt", "a b+c#d?e.txt", "100%.txt", "<tag>&'\".txt"]) {
    writeFileSync(path.join(source, "sub", name), `content of ${name}`)
  }
  for (let index = 0; index < 50; index++) {
    writeFileSync(path.join(source, "sub/deeper & deeper", `file-${index}`), random(index * 100))
  }
  linkSync(path.join(source, "large.bin"), path.join(source, "sub/second name.bin"))
  utimesSync(path.join(source, "program.sh"), 1_000_000_000, 1_000_000_000)
  symlinkSync("../program.sh", path.join(source, "sub/link.sh"))
  symlinkSync("/etc/passwd", path.join(source, "outside"))
  symlinkSync("..", path.join(source, "sub/up"))
  writeFileSync(image, random(mebibyte))
  truncateSync(image, 20 * mebibyte)
}

beforeAll(async () => {
  makeSource()
  store = makeStore(fast.path)
  const id = ["-r", store, "--backup-id"]
  await succeed(["backup", ...id, "plain", `root.pxar:${source}`, `disk.img:${image}`])
  await succeed(["backup", ...id, "split", "--change-detection", "data", `root.pxar:${source}`])
  await succeed(["key", "create", keyFile, "--kdf", "none"])
  await succeed(["backup", ...id, "secret", "--keyfile", keyFile, `root.pxar:${source}`])
})
afterAll(() => {
  fast.remove()
  work.remove()
})

interface Served {
  readonly url: string
  readonly running: Running
}

/** Serves as long as the test, and ends it as a person would. */
const withServer = async (
  words: ReadonlyArray<string>,
  test: (served: Served) => Promise<void>,
  repository = store
): Promise<void> => {
  const args = ["serve-files", "-r", repository, "--listen", "127.0.0.1:0", "--output", "json", ...words]
  const running = start(args)
  let printed = ""
  running.child.stdout?.on("data", (piece: Buffer) => (printed += piece.toString()))
  try {
    await until("the address of the server", () => printed.endsWith("}\n") || running.child.exitCode !== null)
    const { url }: { url: string } = JSON.parse(printed)
    await test({ url, running })
  } finally {
    running.child.kill("SIGINT")
    const ended = await running.ended
    assert.strictEqual(ended.code, 0, ended.errors)
  }
}

const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined

/** Not by a synchronous call, which would keep the server's output waiting. */
const run = async (program: string, args: ReadonlyArray<string>, input = ""): Promise<string> => {
  const environment = { ...process.env, RCLONE_CONFIG: "", HOME: work.path, LC_ALL: "C.UTF-8" }
  const child = spawn(program, args, { env: environment, stdio: ["pipe", "pipe", "pipe"] })
  child.stdin.on("error", () => undefined)
  child.stdin.end(input)
  const ended = new Promise<number | null>((resolve, reject) =>
    child.on("error", reject).on("close", resolve)
  )
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  assert.strictEqual(code, 0, `${program} ${args.join(" ")}: ${errors}${output}`)
  return output
}

const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const get = async (url: string, headers: Record<string, string> = {}) => {
  const answer = await fetch(url, { headers })
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
}

describe("granary serve-files", () => {
  it("serves archives of every kind, and ends when it is told to", async () => {
    await withServer([], async ({ url }) => {
      for (const id of ["plain", "split"]) {
        const { bytes, status } = await get(`${url}host/${id}/latest/root.pxar/large.bin`)
        assert.deepStrictEqual([status, sum(bytes)], [200, sum(readFileSync(path.join(source, "large.bin")))])
      }
      const disk = await get(`${url}host/plain/latest/disk.img`)
      assert.strictEqual(sum(disk.bytes), sum(readFileSync(image)))
      const part = await get(`${url}host/plain/latest/disk.img`, { range: "bytes=1048570-1048579" })
      assert.deepStrictEqual(
        [part.status, part.bytes],
        [206, readFileSync(image).subarray(1_048_570, 1_048_580)]
      )
      const page = await get(`${url}host/plain/`)
      assert.match(page.bytes.toString(), /href="\.\/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\/"/)
    })
  })

  it("serves a part of a datastore", async () => {
    await withServer(["host/plain", "root.pxar", "/sub"], async ({ url }) => {
      assert.strictEqual((await get(`${url}gr%C3%BC%C3%9Fe.txt`)).bytes.toString(), "content of grüße.txt")
      // The link leads out of what is served.
      assert.strictEqual((await get(`${url}link.sh`)).status, 404)
    })
    await withServer(["host/plain", "--template", "{type}/{id}/{time}"], async ({ url }) => {
      assert.match((await get(url)).bytes.toString(), /T\d\d:\d\d:\d\dZ/)
    })
  })

  it("decrypts with the key, and shows nothing without", async () => {
    await withServer(["host/secret", "--keyfile", keyFile], async ({ url }) => {
      const { bytes } = await get(`${url}latest/root.pxar/large.bin`)
      assert.strictEqual(sum(bytes), sum(readFileSync(path.join(source, "large.bin"))))
    })
    await withServer(["host/secret"], async ({ url }) => {
      assert.strictEqual((await get(`${url}latest/root.pxar/large.bin`)).status, 403)
    })
  })

  it("shows what was backed up and forgotten meanwhile", async () => {
    await withServer([], async ({ url }) => {
      assert.strictEqual((await get(`${url}host/later/`)).status, 404)
      await succeed(["backup", "-r", store, "--backup-id", "later", `disk.img:${image}`])
      const isThere = async () => (await get(`${url}host/later/latest/disk.img`)).status
      for (let turn = 0; turn < 100 && (await isThere()) !== 200; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      assert.strictEqual(await isThere(), 200)
    })
  })

  it("tells of what is damaged, and serves the rest", async () => {
    const other = makeStore(fast.path, "damaged")
    await succeed(["backup", "-r", other, "--backup-id", "x", `a.img:${image}`, `root.pxar:${source}`])
    const beginning = readFileSync(image).subarray(0, 4 * mebibyte)
    const digest = createHash("sha256").update(beginning).digest("hex")
    truncateSync(path.join(other, ".chunks", digest.slice(0, 4), digest), 100)
    const test = async ({ running, url }: Served) => {
      const answer = await get(`${url}latest/a.img`).catch(() => ({ status: 0 }))
      assert.notStrictEqual(answer.status, 200)
      assert.strictEqual((await get(`${url}latest/root.pxar/large.bin`)).status, 200)
      assert.strictEqual((await get(`${url}latest/root.pxar/program.sh`)).status, 200)
      running.child.kill("SIGINT")
      assert.match((await running.ended).errors, /^warning: .*host\/x/m)
    }
    await withServer(["host/x"], test, other)
  })

  it("refuses what cannot be meant", async () => {
    const serve = (...args: ReadonlyArray<string>) => granary(["serve-files", "-r", store, ...args])
    assertFails(await serve("--listen", "nowhere"), 2, /"?nowhere"? is no address/)
    assertFails(
      await serve("--listen", "0.0.0.0:0"),
      1,
      /everybody who reaches this address .*--allow-remote/
    )
    assertFails(await serve("host/nobody", "--listen", "0"), 1, /host\/nobody/)
    assertFails(await serve("host/plain", "none.pxar", "--listen", "0"), 1, /none\.pxar/)
    assertFails(await serve("a", "b", "c", "d"), 2, /./)
    await withServer([], async ({ url }) => {
      assertFails(await serve("--listen", new URL(url).host), 1, /something else listens there/)
    })
  })
})

describe.skipIf(!has("curl"))("curl", () => {
  it("resumes, asks only for what has changed, and lists", async () => {
    await withServer(["host/plain", "root.pxar"], async ({ url }) => {
      const target = path.join(work.path, "resumed.bin")
      const whole = readFileSync(path.join(source, "large.bin"))
      writeFileSync(target, whole.subarray(0, 3_000_001))
      await run("curl", ["-sS", "--fail", "-C", "-", "-o", target, `${url}large.bin`])
      assert.strictEqual(sum(readFileSync(target)), sum(whole))
      const tag = path.join(work.path, "tag")
      const again = ["-sS", "--etag-save", tag, "--etag-compare", tag, "-w", "%{http_code}", `${url}empty`]
      assert.strictEqual(
        await run("curl", ["-sS", "--etag-save", tag, "-w", "%{http_code}", `${url}empty`]),
        "200"
      )
      assert.strictEqual(await run("curl", again), "304")
      const listed = await run("curl", ["-sS", "-X", "PROPFIND", "-H", "Depth: 1", `${url}sub/`])
      assert.include(listed, "<D:href>/sub/gr%C3%BC%C3%9Fe.txt</D:href>")
      assert.strictEqual(await run("curl", ["-sS", "--http2", "-w", "%{http_code}", `${url}empty`]), "200")
      const refused = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", target, `${url}large.bin`]
      assert.strictEqual(await run("curl", refused), "405")
    })
  })
})

describe.skipIf(!has("rclone"))("rclone", () => {
  it("finds no difference between the source and what is served, and cannot write", async () => {
    for (const id of ["plain", "split"]) {
      await withServer([`host/${id}`, "root.pxar"], async ({ url }) => {
        const remote = ["--webdav-url", url]
        // Only what a link leads to outside is not served; a link to a directory above is not listed.
        const rules = ["--copy-links", "--exclude", "/outside", "--exclude", "/sub/up/**"]
        await run("rclone", ["check", "--download", ...rules, ...remote, source, ":webdav:"])
        const copy = path.join(work.path, `copy-${id}`)
        await run("rclone", ["copy", ...remote, ":webdav:", copy])
        await run("diff", ["-r", "-x", "outside", "-x", "up", source, copy])
        const listed = await run("rclone", ["lsf", "-R", "--format", "pst", ...remote, ":webdav:"])
        assert.match(listed, /^program\.sh;10;2001-09-09 /m)
        const writing = spawnSync("rclone", ["touch", ...remote, "--retries", "1", ":webdav:new"], {
          env: { ...process.env, RCLONE_CONFIG: "" }
        })
        assert.notStrictEqual(writing.status, 0)
      })
    }
  })
})

describe.skipIf(!has("cadaver"))("cadaver", () => {
  it("walks through the tree", async () => {
    await withServer([], async ({ url }) => {
      const told = await run(
        "cadaver",
        [url],
        "cd host/plain/latest/root.pxar\nls\ncat program.sh\nput /etc/hostname x\nquit\n"
      )
      assert.match(told, /Coll:\s+sub/)
      assert.match(told, /\*program\.sh\s+10 /)
      assert.include(told, "#!/bin/sh")
      assert.match(told, /Uploading .*failed/s)
    })
  })
})
