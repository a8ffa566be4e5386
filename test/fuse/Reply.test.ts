/** Replies are encoded as linux/fuse.h lays them out, whatever was in the memory before. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as DirectoryReply from "../../src/fuse/protocol/DirectoryReply.ts"
import * as Init from "../../src/fuse/protocol/Init.ts"
import * as Reply from "../../src/fuse/protocol/Reply.ts"
import { ArchiveListing } from "../../src/vfs/archive/ArchiveListing.ts"
import { PackedEntries } from "../../src/vfs/archive/PackedEntries.ts"
import type { Attributes, Entry } from "../../src/vfs/Vfs.ts"
import { attr, type AttrMembers, dirent, entryOut, reply, struct, u16, u32, u64 } from "./structs.ts"

const dirty = (sizeBytes = 4096): Reply.ReplyBuffer => {
  const buffer = Reply.makeBuffer(sizeBytes)
  buffer.bytes.fill(0xee)
  return buffer
}

/** What an encoder has written. */
const written = (encode: (buffer: Reply.ReplyBuffer) => number, sizeBytes?: number): Buffer => {
  const buffer = dirty(sizeBytes)
  return Buffer.from(buffer.bytes.subarray(0, encode(buffer)))
}

const file: Attributes = {
  inode: 2n ** 63n + 5n,
  kind: "file",
  mode: 0o100644,
  linkCount: 3,
  uid: 4_000_000_000,
  gid: 65_534,
  sizeBytes: 2 ** 52 + 1,
  blocks: 2 ** 40,
  mtimeSeconds: -315_619_200,
  mtimeNanos: 999_999_999,
  device: undefined,
  validSeconds: 1.5
}

const members: AttrMembers = {
  ino: file.inode,
  size: file.sizeBytes,
  blocks: file.blocks,
  seconds: file.mtimeSeconds,
  nanos: file.mtimeNanos,
  mode: file.mode,
  nlink: 3,
  uid: file.uid,
  gid: file.gid,
  rdev: 0
}

const tenYears = 315_360_000

describe("replies", () => {
  it("have the sizes of the kernel's structures", () => {
    assert.strictEqual(attr(members).length, 88)
    assert.strictEqual(entryOut(members, [1, 0]).length, 128)
    assert.strictEqual(Reply.attributesBytes, 88)
    assert.strictEqual(Reply.entryBytes, 128)
  })

  it("an error", () => {
    assert.deepStrictEqual(
      written((to) => Reply.error(to, 2n ** 63n, 30)),
      Buffer.from(reply(2n ** 63n, 30))
    )
  })

  it("an entry, before 1970 and with a size of 53 bits", () => {
    const expected = reply(9n, 0, entryOut(members, [1, 500_000_000]))
    assert.deepStrictEqual(
      written((to) => Reply.entry(to, 9n, file)),
      Buffer.from(expected)
    )
  })

  it("attributes that last, and some that do not", () => {
    const told = (validSeconds: number) =>
      written((to) => Reply.attributes(to, 9n, { ...file, validSeconds }))
    const expected = (seconds: number, nanos: number) =>
      Buffer.from(reply(9n, 0, u64(seconds), u32(nanos), u32(0), attr(members)))
    assert.deepStrictEqual(told(Infinity), expected(tenYears, 0))
    assert.deepStrictEqual(told(0), expected(0, 0))
    assert.deepStrictEqual(told(-1), expected(0, 0))
    assert.deepStrictEqual(told(Number.NaN), expected(0, 0))
    assert.deepStrictEqual(told(5.25), expected(5, 250_000_000))
  })

  it("a device of 12 and 20 bits", () => {
    const device = { major: 0x123, minor: 0x45678 }
    const rdev = 0x45612378
    const found = written((to) => Reply.attributes(to, 9n, { ...file, device, validSeconds: 0 }))
    const expected = reply(9n, 0, u64(0), u32(0), u32(0), attr({ ...members, rdev }))
    assert.deepStrictEqual(found, Buffer.from(expected))
  })

  it("a name that is missing", () => {
    const nothing = struct(u64(0), u64(0), u64(7), u64(0), u32(0), u32(0), Buffer.alloc(88))
    assert.deepStrictEqual(
      written((to) => Reply.noEntry(to, 9n, 7)),
      Buffer.from(reply(9n, 0, nothing))
    )
  })

  it("small things", () => {
    assert.deepStrictEqual(
      written((to) => Reply.opened(to, 9n, 77, 10)),
      Buffer.from(reply(9n, 0, u64(77), u32(10), u32(0)))
    )
    assert.deepStrictEqual(
      written((to) => Reply.xattrSize(to, 9n, 3000)),
      Buffer.from(reply(9n, 0, u32(3000), u32(0)))
    )
    assert.deepStrictEqual(
      written((to) => Reply.sought(to, 9n, 2 ** 45)),
      Buffer.from(reply(9n, 0, u64(2 ** 45)))
    )
    assert.deepStrictEqual(
      written((to) => Reply.empty(to, 9n)),
      Buffer.from(reply(9n, 0))
    )
  })

  it("statistics", () => {
    const found = { totalBytes: 4096 * 10 + 1, availableBytes: 4096 * 3 + 4095, longestNameBytes: 255 }
    const kstatfs = struct(
      u64(11),
      u64(3),
      u64(3),
      u64(0),
      u64(0),
      u32(4096),
      u32(255),
      u32(4096),
      u32(0),
      Buffer.alloc(24)
    )
    assert.deepStrictEqual(
      written((to) => Reply.statistics(to, 9n, found)),
      Buffer.from(reply(9n, 0, kstatfs))
    )
  })
})

describe("the agreement", () => {
  const request = (major: number, minor: number, flags = -1) =>
    ({ kind: "init", major, minor, readAheadMaxBytes: 131_072, flags }) as const

  it("asks for nothing that was not offered", () => {
    fc.assert(
      fc.property(fc.integer(), (flags) => {
        const agreement = Init.agree(request(7, 40, flags))
        assert.isTrue(agreement.kind === "agreed" && (agreement.flags & ~flags) === 0)
      })
    )
  })

  it("speaks the older of two versions", () => {
    assert.deepInclude(Init.agree(request(7, 31)), { kind: "agreed", minor: 31 })
    assert.deepInclude(Init.agree(request(7, 99)), { kind: "agreed", minor: 45 })
    assert.deepStrictEqual(Init.agree(request(7, 30)), { kind: "too old", version: "7.30" })
    assert.deepStrictEqual(Init.agree(request(6, 99)), { kind: "too old", version: "6.99" })
    assert.deepStrictEqual(Init.agree(request(8, 0)), { kind: "ask again" })
  })

  it("is fuse_init_out", () => {
    const flags = Init.Capability.maxPages | Init.Capability.noOpen
    const body = struct(
      u32(7),
      u32(40),
      u32(131_072),
      u32(flags),
      u16(64),
      u16(48),
      u32(4096),
      u32(1),
      u16(256),
      u16(0),
      u32(0),
      Buffer.alloc(28)
    )
    assert.strictEqual(body.length, 64)
    assert.deepStrictEqual(
      written((to) => Init.encode(to, 9n, { flags, minor: 40 }, 131_072)),
      Buffer.from(reply(9n, 0, body))
    )
  })
})

describe("directories", () => {
  const entry = (name: Uint8Array): Entry => ({ name, attributes: file })
  const directory = (entries: ReadonlyArray<Entry>): DirectoryReply.ListedDirectory => ({
    inode: 40n,
    parent: 41n,
    listing: { entries, validSeconds: 5 }
  })
  const [regular, folder] = [8, 4]
  const odd = Buffer.from([0xff, 0x61, 0x62])

  it("are dot, dot-dot and names", () => {
    const wanted = { cookie: 0, sizeBytes: 4000, withAttributes: false }
    const expected = reply(
      9n,
      0,
      dirent(40n, 1, folder, Buffer.from(".")),
      dirent(41n, 2, folder, Buffer.from("..")),
      dirent(file.inode, 3, regular, odd)
    )
    assert.deepStrictEqual(
      written((to) => DirectoryReply.encode(to, 9n, directory([entry(odd)]), wanted)),
      Buffer.from(expected)
    )
  })

  it("come with attributes, but for dot and dot-dot", () => {
    const wanted = { cookie: 1, sizeBytes: 4000, withAttributes: true }
    const expected = reply(
      9n,
      0,
      new Uint8Array(128),
      dirent(41n, 2, folder, Buffer.from("..")),
      entryOut(members, [1, 500_000_000]),
      dirent(file.inode, 3, regular, odd)
    )
    assert.deepStrictEqual(
      written((to) => DirectoryReply.encode(to, 9n, directory([entry(odd)]), wanted)),
      Buffer.from(expected)
    )
  })

  /** The cookies and names of a reply, read as the kernel reads them. */
  const parse = (bytes: Buffer, withAttributes: boolean) => {
    const found: Array<{ readonly cookie: number; readonly name: string }> = []
    const prefixBytes = withAttributes ? 128 : 0
    for (let at = 16; at < bytes.length;) {
      const start = at + prefixBytes
      const length = bytes.readUInt32LE(start + 16)
      const name = bytes.subarray(start + 24, start + 24 + length).toString("latin1")
      found.push({ cookie: Number(bytes.readBigUInt64LE(start + 8)), name })
      at = start + ((24 + length + 7) & ~7)
    }
    return found
  }

  it("are told whole, in stretches of any size, none of them too large", () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), {
      maxLength: 30
    })
    const size = fc.integer({ min: 200, max: 1000 })
    fc.assert(
      fc.property(names, size, fc.boolean(), (called, sizeBytes, withAttributes) => {
        const whole = directory(called.map((name) => entry(Buffer.from(name, "latin1"))))
        const found: Array<string> = []
        for (let cookie = 0; ;) {
          const wanted = { cookie, sizeBytes, withAttributes }
          const bytes = written((to) => DirectoryReply.encode(to, 9n, whole, wanted))
          assert.isAtMost(bytes.length - 16, sizeBytes)
          const stretch = parse(bytes, withAttributes)
          if (stretch.length === 0) break
          found.push(...stretch.map(({ name }) => name))
          cookie = stretch.at(-1)?.cookie ?? 0
        }
        assert.deepStrictEqual(found, [".", "..", ...called])
      })
    )
  })

  it("are the same where they are packed", () => {
    const fields = {
      position: 2 ** 44 + 5,
      sizeBytes: 2 ** 52 + 1,
      contentOffset: 0,
      contentPlace: "none" as const,
      uid: 4_000_000_000,
      gid: 0,
      mtimeSeconds: -(2 ** 40),
      mtimeNanos: 999_999_999
    }
    const modes = [0o100644, 0o40755, 0o120777]
    const packed = new PackedEntries(262_143, modes.length + 1)
    for (const [child, mode] of modes.entries()) {
      packed.putPlain(child, { ...fields, mode }, Buffer.from(`xsome name ${child}x`), 1, 12)
    }
    packed.putOther(modes.length, entry(odd), 7)
    const listing = new ArchiveListing(packed)
    const { entries, validSeconds } = listing
    assert.deepStrictEqual(
      entries.map(({ attributes: { kind } }) => kind),
      ["file", "directory", "symlink", "file"]
    )
    assert.isAbove(Number(entries[0]?.attributes.inode), 2 ** 63)
    for (const withAttributes of [true, false]) {
      for (const isByName of [true, false]) {
        const wanted = { cookie: 1, sizeBytes: 4000, withAttributes }
        const encoded = [listing, { entries, validSeconds }].map((each) =>
          written((to) =>
            DirectoryReply.encode(to, 9n, { inode: 40n, parent: 41n, listing: each, isByName }, wanted)
          )
        )
        assert.deepStrictEqual(encoded[0], encoded[1])
        assert.isAbove(encoded[0]?.length ?? 0, 16 + 5 * 32)
      }
    }
  })

  it("stay within the memory that there is", () => {
    const many = directory(Array.from({ length: 1000 }, (_, index) => entry(Buffer.from(`entry ${index}`))))
    const wanted = { cookie: 0, sizeBytes: 0xffff_ffff, withAttributes: true }
    assert.isAtMost(written((to) => DirectoryReply.encode(to, 9n, many, wanted), 2048).length, 2048)
  })
})
