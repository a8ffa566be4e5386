/** What a restored tree looks like: contents, metadata, holes, links, pieces of any size. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { FileFlag, makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as Posix from "../../src/platform/Posix.ts"
import { extract } from "../../src/restore/Extractor.ts"
import { compareTrees, describeDifference } from "../../src/restore/compareTrees.ts"
import {
  ArchiveBuilder,
  bytesOf,
  directoryMetadata,
  fileMetadata,
  isRoot,
  piecesOf,
  restore,
  restoreFailing,
  withFolder
} from "./extract/support.ts"

const statOf = (path: string): Posix.PosixStat => Posix.statAt(Posix.AT_FDCWD, path)
const xattrOf = (path: string, name: string): Uint8Array | undefined =>
  Posix.getXattr(Posix.cString(path), bytesOf(name))

const differences = (left: string, right: string): ReadonlyArray<string> =>
  [...compareTrees(left, right)].map(describeDifference)

const sampleTree = (version: 1 | 2, largeBytes = 300_000) => {
  const builder = new ArchiveBuilder(version, directoryMetadata({ mode: MODE_TYPE.directory | 0o750 }))
  const offset = builder.file("a", "first")
  builder.directory(
    "d",
    (d) => {
      d.file("empty", "")
      d.file("large", new Uint8Array(largeBytes).fill(7), { mode: MODE_TYPE.file | 0o400 })
      d.directory("e", (e) => void e.hardlink("h", "a", offset), { mode: MODE_TYPE.directory | 0o500 })
    },
    { mtimeSeconds: 1, mtimeNanos: 2 }
  )
  return builder.symlink("l", "d/large", { mtimeSeconds: -2, mtimeNanos: 999_999_999 }).finish()
}

describe("a whole archive", () => {
  for (const version of [1, 2] as const) {
    it(`of version ${version} is restored with contents, modes and times`, () =>
      withFolder(async (folder) => {
        const target = join(folder, "not/there/yet")
        const { summary, warnings } = await restore(sampleTree(version), target)
        assert.deepStrictEqual(warnings, [])
        const { contentBytes, directories, files, hardlinks, specials, symlinks } = summary
        assert.deepStrictEqual(
          { contentBytes, directories, files, hardlinks, specials, symlinks },
          { contentBytes: 300_005, directories: 2, files: 3, hardlinks: 1, specials: 0, symlinks: 1 }
        )
        assert.strictEqual(statOf(target).mode, MODE_TYPE.directory | 0o750)
        assert.strictEqual(statOf(target).mtimeNanos, 123_456_789)
        assert.strictEqual(statOf(join(target, "d/e")).mode & 0o7777, 0o500)
        assert.strictEqual(statOf(join(target, "d/large")).mode & 0o7777, 0o400)
        assert.strictEqual(statOf(join(target, "a")).inode, statOf(join(target, "d/e/h")).inode)
        const { mtimeNanos, mtimeSeconds } = statOf(join(target, "l"))
        assert.deepStrictEqual([mtimeSeconds, mtimeNanos], [-2, 999_999_999])
        const d = statOf(join(target, "d"))
        assert.deepStrictEqual([d.mtimeSeconds, d.mtimeNanos], [1, 2])
      }))

    it(`of version ${version} comes out the same from pieces of any size`, () =>
      withFolder(async (folder) => {
        const reference = join(folder, "reference")
        const tree = sampleTree(version, 20_000)
        await restore(tree, reference, { pieceBytes: 1 << 22 })
        for (const pieceBytes of [1, 2, 15, 16, 17, 24, 4095, 4096, 100_000]) {
          const target = join(folder, String(pieceBytes))
          await restore(tree, target, { pieceBytes })
          assert.deepStrictEqual(differences(reference, target), [], `${pieceBytes} bytes a piece`)
        }
      }))
  }

  it("leaves holes where whole pages are zero", () =>
    withFolder(async (folder) => {
      const sizeBytes = 1024 * 1024 + 5
      const content = new Uint8Array(sizeBytes)
      content.set(bytesOf("begin"), 0)
      content.set(bytesOf("middle"), 500_000)
      for (const version of [1, 2] as const) {
        const builder = new ArchiveBuilder(version)
        builder.file("all", new Uint8Array(sizeBytes))
        builder.file("some", content)
        const target = join(folder, String(version))
        await restore(builder.finish(), target, { pieceBytes: 10_000 })
        assert.strictEqual(statOf(join(target, "all")).blocks, 0)
        assert.isBelow(statOf(join(target, "some")).blocks * 512, 64 * 1024)
        assert.strictEqual(Buffer.compare(readFileSync(join(target, "some")), content), 0)
        assert.strictEqual(Buffer.compare(readFileSync(join(target, "all")), Buffer.alloc(sizeBytes)), 0)
      }
    }))

  it("is restored however deep it is, with few directories open", () =>
    withFolder(async (folder) => {
      const depth = 1500
      const builder = new ArchiveBuilder()
      const dive = (level: number): void => {
        if (level === 0) builder.file("bottom", "deep")
        else builder.directory("d", () => dive(level - 1), { mtimeSeconds: level })
      }
      dive(depth)
      const archive = builder.finish()
      const { summary, warnings } = await restore(archive, join(folder, "few"), { openLimit: 3 })
      assert.deepStrictEqual(warnings, [])
      assert.strictEqual(summary.directories, depth)
      await restore(archive, join(folder, "many"), { openLimit: 10_000 })
      assert.deepStrictEqual(differences(join(folder, "few"), join(folder, "many")), [])
    }))

  it("tells of its progress after every piece", () =>
    withFolder(async (folder) => {
      const seen: Array<number> = []
      const { archive } = sampleTree(1)
      await Effect.runPromise(
        extract({
          source: piecesOf(archive, 50_000),
          target: folder,
          includes: [],
          excludes: [],
          overwrite: "never",
          onProgress: ({ contentBytes }) => seen.push(contentBytes)
        })
      )
      assert.isAtLeast(seen.length, Math.ceil(archive.length / 50_000))
      assert.deepStrictEqual(
        seen,
        seen.toSorted((left, right) => left - right)
      )
      assert.strictEqual(seen.at(-1), 300_005)
    }))

  it("fails when its second part is missing, and leaves no partial file", () =>
    withFolder(async (folder) => {
      const { archive } = sampleTree(2)
      const error = await restoreFailing({ archive, payload: undefined }, folder)
      assert.strictEqual(error.reason, "PayloadMissing")
      assert.deepStrictEqual(readdirSync(folder), [])
    }))

  it("fails when it ends early, and removes the file that was being written", () =>
    withFolder(async (folder) => {
      const { archive, payload } = sampleTree(1)
      const error = await restoreFailing({ archive: archive.subarray(0, 100_000), payload }, folder)
      assert.strictEqual(error.reason, "Damaged")
      assert.isNotEmpty(error.hint)
      assert.deepStrictEqual(readdirSync(join(folder, "d")), ["empty"])
      assert.strictEqual(statSync(join(folder, "d")).mode & 0o777, 0o700)
    }))

  it("fails when the payload stream is not the one that belongs to it", () =>
    withFolder(async (folder) => {
      const { archive, payload } = sampleTree(2)
      const other = Uint8Array.from(payload ?? [])
      other[24] = 99
      const error = await restoreFailing({ archive, payload: other }, folder)
      assert.strictEqual(error.reason, "Damaged")
      const short = await restoreFailing({ archive, payload: other.subarray(0, 20) }, join(folder, "short"))
      assert.strictEqual(short.reason, "Damaged")
    }))
})

describe("metadata", () => {
  it("restores attributes, also of files that nobody may write", () =>
    withFolder(async (folder) => {
      const xattrs = [{ name: bytesOf("user.k"), value: new Uint8Array([0, 255]) }]
      const builder = new ArchiveBuilder()
      builder.file("f", "x", { xattrs, mode: MODE_TYPE.file | 0o000 })
      builder.directory("d", () => undefined, { xattrs, mode: MODE_TYPE.directory | 0o500 })
      await restore(builder.finish(), folder)
      assert.deepStrictEqual(xattrOf(join(folder, "f"), "user.k"), new Uint8Array([0, 255]))
      assert.deepStrictEqual(xattrOf(join(folder, "d"), "user.k"), new Uint8Array([0, 255]))
      assert.strictEqual(statOf(join(folder, "f")).mode & 0o7777, 0)
    }))

  it("restores attributes without a value", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      builder.file("f", "x", { xattrs: [{ name: bytesOf("user.empty"), value: new Uint8Array() }] })
      const { warnings } = await restore(builder.finish(), folder)
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(xattrOf(join(folder, "f"), "user.empty"), new Uint8Array())
    }))

  it("counts what is refused once a kind", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      const xattrs = [{ name: bytesOf("nonsense"), value: bytesOf("x") }]
      for (const name of ["a", "b", "c"]) builder.file(name, "x", { xattrs })
      const { summary, warnings } = await restore(builder.finish(), folder)
      assert.strictEqual(summary.files, 3)
      assert.deepStrictEqual(
        summary.refusals.map(({ count, kind }) => [kind, count]),
        [["privileged attributes", 3]]
      )
      assert.deepStrictEqual(
        warnings.map(({ kind }) => kind),
        ["refused"]
      )
      assert.match(warnings[0]?.message ?? "", /3 entries/)
    }))

  it("does not inherit the default access list of a folder that was there before", () =>
    withFolder(async (folder) => {
      const target = join(folder, "target")
      mkdirSync(target)
      const inherited = new ArchiveBuilder(
        1,
        directoryMetadata({
          acl: {
            users: [],
            groups: [],
            groupObject: undefined,
            default: { userObject: 7, groupObject: 5, other: 5, mask: 7 },
            defaultUsers: [{ id: 1234, permissions: 7 }],
            defaultGroups: []
          }
        })
      ).finish()
      const { warnings } = await restore(inherited, target)
      if (warnings.length > 0) return assert.match(warnings[0]?.message ?? "", /access control list/)
      assert.isDefined(xattrOf(target, "system.posix_acl_default"))
      const builder = new ArchiveBuilder()
      builder.file("f", "x", { mode: MODE_TYPE.file | 0o640 })
      builder.directory("d", (d) => void d.file("g", "x"))
      builder.encoder.addFifo(
        bytesOf("p"),
        makeFileMetadata({ ...fileMetadata(), mode: MODE_TYPE.fifo | 0o640 })
      )
      await restore(builder.finish(), target)
      assert.strictEqual(statOf(join(target, "p")).mode & 0o7777, 0o640)
      for (const name of ["f", "d", "d/g", "p"]) {
        assert.isUndefined(xattrOf(join(target, name), "system.posix_acl_access"), name)
      }
      assert.isUndefined(xattrOf(join(target, "d"), "system.posix_acl_default"))
      assert.strictEqual(statOf(join(target, "f")).mode & 0o7777, 0o640)
    }))

  it.skipIf(!isRoot)("lets setuid bits and capabilities survive the change of owner", () =>
    withFolder(async (folder) => {
      // Version 2, effective, cap_net_raw permitted.
      const fcaps = Uint8Array.from(Buffer.from("0100000200200000000000000000000000000000", "hex"))
      const builder = new ArchiveBuilder()
      const owner = { uid: 4321, gid: 8765 }
      builder.file("setuid", "x", { ...owner, mode: MODE_TYPE.file | 0o6755 })
      builder.file("capable", "x", { ...owner, fcaps })
      builder.symlink("l", "x", owner)
      const { warnings } = await restore(builder.finish(), folder)
      assert.deepStrictEqual(warnings, [])
      assert.strictEqual(statOf(join(folder, "setuid")).mode & 0o7777, 0o6755)
      assert.deepStrictEqual(xattrOf(join(folder, "capable"), "security.capability"), fcaps)
      for (const name of ["setuid", "capable", "l"]) {
        const { gid, uid } = statOf(join(folder, name))
        assert.deepStrictEqual({ uid, gid }, owner, name)
      }
    })
  )

  it.skipIf(!isRoot)("makes devices, fifos and sockets", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      const { encoder } = builder
      const nodeMetadata = (type: number) => makeFileMetadata({ ...fileMetadata(), mode: type | 0o624 })
      encoder.addDevice(bytesOf("b"), nodeMetadata(MODE_TYPE["device-block"]), { major: 7, minor: 300 })
      encoder.addDevice(bytesOf("c"), nodeMetadata(MODE_TYPE["device-char"]), { major: 1, minor: 3 })
      encoder.addFifo(bytesOf("f"), nodeMetadata(MODE_TYPE.fifo))
      encoder.addSocket(bytesOf("s"), nodeMetadata(MODE_TYPE.socket))
      const wide = { major: 2 ** 32 + 1, minor: 3 }
      encoder.addDevice(bytesOf("w"), nodeMetadata(MODE_TYPE["device-char"]), wide)
      const { summary, warnings } = await restore(builder.finish(), folder)
      assert.strictEqual(summary.specials, 4)
      assert.deepStrictEqual(
        warnings.map(({ kind, path }) => [kind, Buffer.from(path).toString()]),
        [["failed", "w"]]
      )
      const block = statOf(join(folder, "b"))
      assert.deepStrictEqual([block.specialMajor, block.specialMinor], [7, 300])
      assert.strictEqual(statOf(join(folder, "c")).mode, MODE_TYPE["device-char"] | 0o624)
      assert.strictEqual(statOf(join(folder, "f")).mode, MODE_TYPE.fifo | 0o624)
      assert.isTrue(lstatSync(join(folder, "s")).isSocket())
      assert.strictEqual(statOf(join(folder, "s")).mtimeNanos, 123_456_789)
    })
  )

  it.skipIf(!isRoot)("sets flags last, so that immutable files still get their other names", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      const flags = FileFlag.immutable | FileFlag.noDump
      const offset = builder.file("a", "x", { flags })
      builder.hardlink("b", "a", offset)
      builder.directory("d", (d) => void d.file("f", "x"), { flags: FileFlag.immutable })
      const { summary, warnings } = await restore(builder.finish(), folder)
      assert.strictEqual(summary.hardlinks, 1)
      if (warnings.length > 0) return assert.match(warnings[0]?.message ?? "", /^flags /)
      const shown = (name: string): number => {
        const fd = Posix.openAt(Posix.AT_FDCWD, join(folder, name), 0)
        return Posix.getInodeFlags(fd) & 0x70
      }
      assert.strictEqual(shown("b"), 0x50)
      assert.strictEqual(shown("d"), 0x10)
      assert.strictEqual(readFileSync(join(folder, "d/f"), "utf8"), "x")
      assert.strictEqual(statOf(join(folder, "d")).mtimeNanos, 123_456_789)
    })
  )
})
