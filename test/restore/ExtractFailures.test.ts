/** Targets that are full, read-only, closed or no folders, and restores by others than root. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import { extract } from "../../src/restore/Extractor.ts"
import {
  ArchiveBuilder,
  type ArchiveBytes,
  bytesOf,
  fileMetadata,
  isRoot,
  piecesOf,
  restore,
  restoreFailing,
  withFolder
} from "./extract/support.ts"

const node = [process.execPath, "--conditions=development", "--disable-warning=ExperimentalWarning"]
const child = join(import.meta.dirname, "extract/restoreChild.ts")

const canMount = ((): boolean => {
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** Restores in a mount namespace of its own, where `target` is a small tmpfs, and runs `after` there. */
const restoreOnMount = (
  folder: string,
  { archive }: ArchiveBytes,
  mountOptions: string,
  after: string
): string => {
  const archivePath = join(folder, "archive")
  const target = join(folder, "target")
  writeFileSync(archivePath, archive)
  mkdirSync(target)
  const mount = `mount -t tmpfs -o ${mountOptions} none "$0"`
  const script = `${mount} && ${node.join(" ")} "$1" "$2" "$0" && ${after}`
  return execFileSync("unshare", ["-m", "sh", "-c", script, target, child, archivePath], { encoding: "utf8" })
}

const random = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 2_654_435_761) >>> 13)

describe("targets that fail", () => {
  it.skipIf(!canMount)("stops when the disk is full and removes the partial file", () =>
    withFolder((folder) => {
      const builder = new ArchiveBuilder()
      builder.file("a", random(200_000))
      builder.directory("d", (d) => void d.file("b", random(3_000_000)))
      builder.file("c", "never reached")
      const output = restoreOnMount(folder, builder.finish(), "size=1m", `ls -A "$0" "$0/d"`)
      const [json = "", ...listing] = output.trim().split("\n")
      const { error } = JSON.parse(json)
      assert.strictEqual(error.reason, "DiskFull")
      assert.strictEqual(error.message, "d/b: no space left (ENOSPC)")
      assert.isNotEmpty(error.hint)
      const names = listing.filter((line) => line !== "" && !line.endsWith(":"))
      assert.deepStrictEqual(names, ["a", "d"])
    })
  )

  it.skipIf(!canMount)("says so when the target is read-only", () =>
    withFolder((folder) => {
      const builder = new ArchiveBuilder()
      builder.file("a", "x")
      const { error } = JSON.parse(restoreOnMount(folder, builder.finish(), "ro", "true"))
      assert.strictEqual(error.reason, "ReadOnly")
      assert.match(error.message, /target: the file system is read-only/)
    })
  )

  it("says so when the target is no folder", () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "file"), "x")
      symlinkSync("nowhere", join(folder, "dangling"))
      const archive = new ArchiveBuilder().finish()
      for (const name of ["file", "file/below", "dangling"]) {
        const error = await restoreFailing(archive, join(folder, name))
        assert.strictEqual(error.reason, "Target", name)
        assert.include(error.message, join(folder, name))
      }
      assert.strictEqual(readFileSync(join(folder, "file"), "utf8"), "x")
    }))

  it("follows a link that the user gave as target", () =>
    withFolder(async (folder) => {
      mkdirSync(join(folder, "real"))
      symlinkSync("real", join(folder, "link"))
      const builder = new ArchiveBuilder()
      builder.file("a", "x")
      await restore(builder.finish(), join(folder, "link"))
      assert.deepStrictEqual(readdirSync(join(folder, "real")), ["a"])
    }))

  it("removes the partial file when it is interrupted", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      builder.file("a", random(100_000))
      const { archive } = builder.finish()
      const pieces = piecesOf(archive.subarray(0, 50_000), 10_000)
      const source = {
        next: Effect.flatMap(pieces.next, (piece) =>
          piece === undefined ? Effect.never : Effect.succeed(piece)
        ),
        skip: pieces.skip
      }
      const seen = { pieceCount: 0 }
      const program = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          extract({
            source,
            target: folder,
            includes: [],
            excludes: [],
            overwrite: "never",
            onProgress: () => seen.pieceCount++
          })
        )
        while (seen.pieceCount < 6) yield* Effect.yieldNow
        assert.deepStrictEqual(readdirSync(folder), ["a"])
        yield* Fiber.interrupt(fiber)
      })
      await Effect.runPromise(program)
      assert.deepStrictEqual(readdirSync(folder), [])
    }))

  it("passes the failure of the source on and closes everything", () =>
    withFolder(async (folder) => {
      const descriptorCount = (): number => readdirSync("/proc/self/fd").length
      const before = descriptorCount()
      const builder = new ArchiveBuilder()
      builder.directory("d", (d) => void d.file("a", random(100_000)))
      const pieces = piecesOf(builder.finish().archive.subarray(0, 50_000), 10_000)
      const source = {
        next: Effect.flatMap(pieces.next, (piece) =>
          piece === undefined ? Effect.fail("no such chunk" as const) : Effect.succeed(piece)
        ),
        skip: pieces.skip
      }
      const options = { source, target: folder, includes: [], excludes: [], overwrite: "never" as const }
      const failure = await Effect.runPromise(Effect.flip(extract(options)))
      assert.strictEqual(failure, "no such chunk")
      assert.deepStrictEqual(readdirSync(join(folder, "d")), [])
      assert.strictEqual(descriptorCount(), before)
    }))
})

describe.skipIf(!isRoot)("a restore by somebody else than root", () => {
  const SOMEBODY = 54_321

  const restoreAsSomebody = (folder: string, { archive }: ArchiveBytes, mode = 0o755) => {
    const archivePath = join(folder, "archive")
    const target = join(folder, "target")
    chmodSync(folder, 0o755)
    writeFileSync(archivePath, archive)
    mkdirSync(target)
    chmodSync(target, mode)
    if (mode === 0o755) chownSync(target, SOMEBODY, SOMEBODY)
    const [command = "", ...options] = node
    const output = execFileSync(command, [...options, child, archivePath, target, String(SOMEBODY)], {
      encoding: "utf8"
    })
    return { target, outcome: JSON.parse(output) }
  }

  it("restores what it may, counts what it may not, and drops setuid bits of others", () =>
    withFolder((folder) => {
      const builder = new ArchiveBuilder()
      const fcaps = Uint8Array.from(Buffer.from("0100000200200000000000000000000000000000", "hex"))
      builder.file("a", "x", { mode: MODE_TYPE.file | 0o4755, fcaps })
      const { encoder } = builder
      const deviceMetadata = makeFileMetadata({ ...fileMetadata(), mode: MODE_TYPE["device-char"] | 0o666 })
      encoder.addDevice(bytesOf("device"), deviceMetadata, { major: 1, minor: 3 })
      builder.file("mine", "x", {
        uid: SOMEBODY,
        gid: SOMEBODY,
        mode: MODE_TYPE.file | 0o4444,
        xattrs: [{ name: bytesOf("user.k"), value: bytesOf("v") }]
      })
      builder.directory("sealed", (sealed) => void sealed.file("b", "x"), {
        mode: MODE_TYPE.directory | 0o555
      })
      const { outcome, target } = restoreAsSomebody(folder, builder.finish())
      assert.strictEqual(outcome.error, undefined)
      assert.strictEqual(outcome.files, 3)
      assert.deepStrictEqual(outcome.refusals, [
        { kind: "owner", count: 4, firstCode: "EPERM" },
        { kind: "capabilities", count: 1, firstCode: "EPERM" },
        { kind: "device nodes", count: 1, firstCode: "EPERM" }
      ])
      assert.strictEqual(statSync(join(target, "a")).mode & 0o7777, 0o755)
      assert.strictEqual(statSync(join(target, "mine")).mode & 0o7777, 0o4444)
      assert.strictEqual(statSync(join(target, "sealed")).mode & 0o7777, 0o555)
      assert.deepStrictEqual(readdirSync(target).toSorted(), ["a", "mine", "sealed"])
    }))

  it("stops at once where it may not write", () =>
    withFolder((folder) => {
      const builder = new ArchiveBuilder()
      builder.file("a", "x")
      const { outcome } = restoreAsSomebody(folder, builder.finish(), 0o555)
      assert.strictEqual(outcome.error.reason, "Target")
      assert.match(outcome.error.message, /permission denied \(EACCES\)/)
    }))
})
