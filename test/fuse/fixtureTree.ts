/**
 * The tree that drivers are tried on: everything a file system can say of a file, contents that hang, lag and fail,
 * and counts of what was asked of it. The suite in `test/conformance/fuseDriverSuite.ts` knows what has to come out.
 */
import * as Effect from "effect/Effect"
import { rootInode, type Vfs } from "../../src/vfs/Vfs.ts"
import { vfsError } from "../../src/vfs/VfsError.ts"
import { type Content, MemoryVfs } from "../vfs/MemoryVfs.ts"

const MiB = 1024 * 1024

export const sizes = {
  pattern: 5 * MiB + 123,
  holes: 10 * MiB,
  wide: 20_000,
  damagedFrom: MiB,
  hugeFile: 2 ** 53 - 8192
} as const

export const holesData = [
  [MiB, 2 * MiB],
  [5 * MiB, 6 * MiB]
] as const

/** Every eight bytes say where they are. */
export const patternBytes = (offset: number, lengthBytes: number): Uint8Array => {
  const start = offset - (offset % 8)
  const words = new BigUint64Array(Math.ceil((offset - start + lengthBytes) / 8))
  for (let index = 0; index < words.length; index++) words[index] = BigInt(start + index * 8)
  return new Uint8Array(words.buffer, offset - start, lengthBytes)
}

const pattern = (sizeBytes: number): Content => ({
  sizeBytes,
  read: (offset, lengthBytes) => Effect.succeed(patternBytes(offset, lengthBytes))
})

/** Ones where data is, zeros in holes. */
const holes: Content = {
  sizeBytes: sizes.holes,
  data: holesData,
  read: (offset, lengthBytes) =>
    Effect.sync(() => {
      const bytes = new Uint8Array(lengthBytes)
      for (const [start, end] of holesData) {
        bytes.fill(1, Math.max(0, start - offset), Math.max(0, Math.min(lengthBytes, end - offset)))
      }
      return bytes
    })
}

export interface Counts {
  /** Reads that hang now. */
  hanging: number
  interrupted: number
  lookups: number
}

const acl = Buffer.from(
  "0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000400ffffffff",
  "hex"
)

const addContents = (tree: MemoryVfs, counts: Counts): void => {
  const contents = (name: string, content: Content) => tree.file(rootInode, name, content)
  contents("pattern.bin", pattern(sizes.pattern))
  contents("huge.bin", pattern(sizes.hugeFile))
  contents("holes.img", holes)
  tree.file(rootInode, "empty", "")
  contents("never.bin", {
    sizeBytes: 4096,
    read: () =>
      Effect.suspend(() => {
        counts.hanging++
        return Effect.never
      }).pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            counts.hanging--
            counts.interrupted++
          })
        )
      )
  })
  contents("slow.bin", {
    sizeBytes: 16 * MiB,
    read: (offset, lengthBytes) => Effect.as(Effect.sleep("700 millis"), patternBytes(offset, lengthBytes))
  })
  contents("defect.bin", { sizeBytes: 4096, read: () => Effect.die("a fault in the tree") })
  contents("throws.bin", {
    sizeBytes: 4096,
    read: () => {
      throw new Error("a fault in the tree, thrown")
    }
  })
  contents("too-much.bin", { sizeBytes: 4096, read: () => Effect.succeed(new Uint8Array(2 * MiB)) })
  contents("locked.bin", {
    sizeBytes: 4096,
    read: () => Effect.fail(vfsError("KeyNeeded", "locked.bin", "it needs another key"))
  })
  contents("damaged.bin", {
    sizeBytes: 2 * MiB,
    read: (offset, lengthBytes) =>
      offset + lengthBytes <= sizes.damagedFrom
        ? Effect.succeed(patternBytes(offset, lengthBytes))
        : Effect.fail(vfsError("Damaged", "damaged.bin", "a chunk is missing"))
  })
}

const addNames = (tree: MemoryVfs): void => {
  const file = (name: string | Uint8Array, options = {}) => tree.file(rootInode, name, "x", options)
  tree.file(rootInode, "hello.txt", "hello\n", {
    uid: 4_000_000_000,
    gid: 65_534,
    mtimeSeconds: 1_500_000_000,
    mtimeNanos: 123_456_789
  })
  file("setuid", { mode: 0o4755 })
  file("old", { mtimeSeconds: -315_619_200, mtimeNanos: 5 })
  file("future", { mtimeSeconds: 16_725_225_600, mtimeNanos: 999_999_999 })
  file("big-inode", { inode: 2n ** 62n + 77n })
  file(Buffer.from([0xff, 0x62, 0x61, 0x64]))
  file("ünïcode-✓")
  file("a name with spaces,\\ and\nmore")
  file("n".repeat(255))
  tree.symlink(rootInode, "link", "hello.txt")
  tree.symlink(rootInode, "raw-link", Buffer.from([0xfe, 0x2f, 0xff]))
  const hard = tree.file(rootInode, "hard-a", "hard\n")
  tree.link(rootInode, "hard-b", hard)
  file("xattrs", {
    xattrs: {
      "user.foo": Buffer.from("bar"),
      "user.bin": Buffer.alloc(3000, 7),
      "user.empty": Buffer.alloc(0)
    }
  })
  file("acl", { mode: 0o674, xattrs: { "system.posix_acl_access": acl } })
  tree.special(rootInode, "character", 0o020600, { device: { major: 1, minor: 3 } })
  tree.special(rootInode, "block", 0o060640, { device: { major: 259, minor: 70_000 } })
  tree.special(rootInode, "fifo", 0o010600)
  tree.special(rootInode, "socket", 0o140755)
}

const addDirectories = (tree: MemoryVfs): void => {
  const sub = tree.directory(rootInode, "sub", { mode: 0o750 })
  tree.file(tree.directory(sub, "deeper"), "file", "deep\n")
  const wide = tree.directory(rootInode, "wide")
  for (let number = 0; number < sizes.wide; number++) tree.file(wide, `entry-${number}`, "0123456789")
}

export interface Fixture {
  readonly vfs: Vfs["Service"]
  readonly counts: Counts
  /** Adds a file to the directory `live`, about which the kernel may believe nothing for long. */
  readonly addLive: (name: string) => void
}

export const makeFixture = (): Fixture => {
  const tree = new MemoryVfs()
  const counts: Counts = { hanging: 0, interrupted: 0, lookups: 0 }
  tree.statistics = { totalBytes: 1_000 * MiB, availableBytes: 250 * MiB, longestNameBytes: 255 }
  addContents(tree, counts)
  addNames(tree)
  addDirectories(tree)
  const live = tree.directory(rootInode, "live", { validSeconds: 0.2 })
  const { lookup, ...rest } = tree.vfs
  return {
    vfs: {
      ...rest,
      lookup: (directory, name) => {
        counts.lookups++
        return lookup(directory, name)
      }
    },
    counts,
    addLive: (name) => void tree.file(live, name, "live\n", { validSeconds: 0.2 })
  }
}
