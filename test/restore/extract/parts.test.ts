/** The small parts that the extractor is made of. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { Decoder } from "../../../src/format/pxar/Decoder.ts"
import type { Acl } from "../../../src/model/FileMetadata.ts"
import { AT_FDCWD, openAt, statAt } from "../../../src/platform/Posix.ts"
import { accessAcl, defaultAcl } from "../../../src/restore/extract/AclXattr.ts"
import { displayPath } from "../../../src/restore/extract/ExtractError.ts"
import { FileWriter } from "../../../src/restore/extract/FileWriter.ts"
import { CREATE_FILE, OPEN_TARGET } from "../../../src/restore/extract/OpenFlags.ts"
import { PathBuffer } from "../../../src/restore/extract/PathBuffer.ts"
import { PayloadCursor } from "../../../src/restore/extract/PayloadCursor.ts"
import { RestoredFiles, ROOT_PLACE } from "../../../src/restore/extract/RestoredFiles.ts"
import {
  ArchiveBuilder,
  bytesOf,
  directoryMetadata,
  fileMetadata,
  payloadOf,
  textOf,
  withFolder
} from "./support.ts"

describe("PathBuffer", () => {
  it("goes down and up", () => {
    const path = new PathBuffer()
    path.push(bytesOf("a"))
    const { length } = path
    path.push(bytesOf("b".repeat(5000)))
    path.push(bytesOf("c"))
    assert.strictEqual(textOf(path.bytes), `a/${"b".repeat(5000)}/c`)
    assert.strictEqual(
      path.at(length, () => textOf(path.bytes)),
      "a"
    )
    assert.strictEqual(path.length, 5004)
    path.truncate(length)
    path.push(bytesOf("d"))
    assert.strictEqual(textOf(path.bytes), "a/d")
  })
})

describe("displayPath", () => {
  it("shows what a terminal must not obey", () => {
    assert.strictEqual(displayPath(bytesOf("a\u001b[2J\nb")), "a\\x1b[2J\\x0ab")
    assert.strictEqual(displayPath(new Uint8Array([0x61, 0xff])), "a\ufffd")
    assert.strictEqual(displayPath(new Uint8Array()), "the target folder")
  })
})

const acl = (fields: Partial<Acl>): Acl => ({
  users: [],
  groups: [],
  groupObject: undefined,
  default: undefined,
  defaultUsers: [],
  defaultGroups: [],
  ...fields
})

const entriesOf = (xattr: Uint8Array | undefined): ReadonlyArray<string> => {
  if (xattr === undefined) return []
  const view = new DataView(xattr.buffer, xattr.byteOffset, xattr.length)
  assert.strictEqual(view.getUint32(0, true), 2)
  return Array.from({ length: (xattr.length - 4) / 8 }, (_, index) => {
    const at = 4 + index * 8
    const id = view.getUint32(at + 4, true)
    const tag = view.getUint16(at, true)
    return `${tag}:${id === 0xffff_ffff ? "" : id}:${view.getUint16(at + 2, true)}`
  })
}

describe("access control lists", () => {
  it("take their mask from the mode and stand in the order of the kernel", () => {
    const users = [
      { id: 20, permissions: 6 },
      { id: 3, permissions: 4 }
    ]
    const metadata = fileMetadata({ mode: 0o100674, acl: acl({ users, groupObject: 4 }) })
    assert.deepStrictEqual(entriesOf(accessAcl(metadata)), [
      "1::6",
      "2:3:4",
      "2:20:6",
      "4::4",
      "16::7",
      "32::4"
    ])
    assert.isUndefined(defaultAcl(metadata))
  })

  it("leave the default list without a mask when it has none", () => {
    const base = { userObject: 7, groupObject: 5, other: 4, mask: undefined }
    const metadata = directoryMetadata({ acl: acl({ default: base }) })
    assert.isUndefined(accessAcl(metadata))
    assert.deepStrictEqual(entriesOf(defaultAcl(metadata)), ["1::7", "4::5", "32::4"])
  })

  it("complete a default list with what it may not lack", () => {
    const metadata = directoryMetadata({ acl: acl({ defaultGroups: [{ id: 9, permissions: 2 }] }) })
    assert.deepStrictEqual(entriesOf(defaultAcl(metadata)), ["1::7", "4::5", "8:9:2", "16::7", "32::5"])
  })

  it("refuse an id that would be cut", () => {
    const users = [{ id: 2 ** 32 + 5, permissions: 7 }]
    assert.throws(() => accessAcl(fileMetadata({ acl: acl({ users }) })), /EINVAL/)
  })
})

describe("FileWriter", () => {
  it("writes any content from any pieces", () =>
    withFolder((folder) => {
      let count = 0
      const run = fc.record({ byte: fc.constantFrom(0, 0, 1), length: fc.integer({ min: 1, max: 9000 }) })
      fc.assert(
        fc.property(
          fc.array(run, { maxLength: 8 }),
          fc.integer({ min: 1, max: 20_000 }),
          (runs, pieceBytes) => {
            const content = Buffer.concat(runs.map(({ byte, length }) => Buffer.alloc(length, byte)))
            const path = join(folder, String(count++))
            const writer = new FileWriter(openAt(AT_FDCWD, path, CREATE_FILE, 0o600), content.length)
            for (let at = 0; at < content.length; at += pieceBytes) {
              writer.write(content.subarray(at, at + pieceBytes))
            }
            writer.finish()
            closeSync(writer.fd)
            assert.strictEqual(Buffer.compare(readFileSync(path), content), 0)
          }
        ),
        { numRuns: 200 }
      )
    }))
})

describe("FileWriter of large files", () => {
  const MiB = 1024 * 1024
  /** Data, holes of whole pages, runs of zeros that are none, and an end off every grid. */
  const content = Buffer.alloc(11 * MiB + 777)
  for (let at = 0; at < content.length; at++) content[at] = (at * 131 + (at >>> 11)) & 0xff
  content
    .fill(0, 3 * MiB, 6 * MiB)
    .fill(0, 8 * MiB + 5, 8 * MiB + 9000)
    .fill(0, 11 * MiB - 4096, 11 * MiB)

  const folders = [tmpdir(), "/dev/shm"].filter((folder) => existsSync(folder))
  for (const folder of folders) {
    it(`writes exactly what came, with holes, in ${folder}`, () => {
      const base = mkdtempSync(join(folder, "granary-large-"))
      try {
        for (const pieceBytes of [1000, 4096, MiB - 1, content.length]) {
          for (const sizeBytes of [content.length, 11 * MiB, 9 * MiB + 4096]) {
            const path = join(base, "file")
            const writer = new FileWriter(openAt(AT_FDCWD, path, CREATE_FILE, 0o600), sizeBytes)
            for (let at = 0; at < sizeBytes; at += pieceBytes) {
              writer.write(content.subarray(at, Math.min(at + pieceBytes, sizeBytes)))
            }
            writer.finish()
            closeSync(writer.fd)
            assert.isTrue(readFileSync(path).equals(content.subarray(0, sizeBytes)))
            assert.isBelow(statSync(path).blocks * 512, sizeBytes - 2 * MiB)
            rmSync(path)
          }
        }
      } finally {
        rmSync(base, { recursive: true })
      }
    })
  }
})

describe("RestoredFiles", () => {
  it("finds thousands of files by their offsets, early ones and late ones", () =>
    withFolder((folder) => {
      const fd = openAt(AT_FDCWD, folder, OPEN_TARGET)
      const files = new RestoredFiles()
      mkdirSync(join(folder, "d"))
      const place = files.addDirectory(ROOT_PLACE, bytesOf("d"))
      for (let index = 0; index < 1000; index++) {
        const name = `file ${index}`
        writeFileSync(join(folder, "d", name), "")
        files.add(100 + index * 10, place, bytesOf(name), statAt(fd, `d/${name}`))
      }
      writeFileSync(join(folder, "late"), "")
      files.addLate(105, ROOT_PLACE, bytesOf("late"), statAt(fd, "late"))
      const nameAt = (offset: number) => files.locate(fd, offset, (_, name) => textOf(name))
      assert.strictEqual(nameAt(100), "file 0")
      assert.strictEqual(nameAt(100 + 567 * 10), "file 567")
      assert.strictEqual(nameAt(100 + 999 * 10), "file 999")
      assert.strictEqual(nameAt(105), "late")
      for (const offset of [0, 99, 101, 10_100]) assert.isUndefined(nameAt(offset))
      closeSync(fd)
    }))

  it("does not take another file, a link or a moved folder for its own", () =>
    withFolder((folder) => {
      const fd = openAt(AT_FDCWD, folder, OPEN_TARGET)
      const files = new RestoredFiles()
      mkdirSync(join(folder, "d"))
      const place = files.addDirectory(ROOT_PLACE, bytesOf("d"))
      writeFileSync(join(folder, "d/f"), "mine")
      files.add(1, place, bytesOf("f"), statAt(fd, "d/f"))
      const isFound = () => files.locate(fd, 1, () => true) ?? false
      assert.isTrue(isFound())
      renameSync(join(folder, "d/f"), join(folder, "kept"))
      assert.isFalse(isFound())
      writeFileSync(join(folder, "d/f"), "foreign")
      assert.isFalse(isFound())
      unlinkSync(join(folder, "d/f"))
      symlinkSync("../kept", join(folder, "d/f"))
      assert.isFalse(isFound())
      unlinkSync(join(folder, "d/f"))
      renameSync(join(folder, "kept"), join(folder, "d/f"))
      assert.isTrue(isFound())
      renameSync(join(folder, "d"), join(folder, "moved"))
      symlinkSync("moved", join(folder, "d"))
      assert.isFalse(isFound())
      closeSync(fd)
    }))
})

describe("PayloadCursor", () => {
  it("reads forwards, over gaps and back again", () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)
    const program = Effect.scoped(
      Effect.gen(function* () {
        const cursor = yield* PayloadCursor.make(payloadOf(bytes, 64))
        for (const offset of [0, 10, 63, 64, 500, 999, 3, 4, 990]) {
          if (cursor.view(offset, 1).length === 0) yield* cursor.fetch(offset)
          assert.deepStrictEqual([...cursor.view(offset, 1)], [offset % 251])
        }
        const error = yield* Effect.flip(cursor.fetch(1000))
        assert.strictEqual(error._tag, "FormatError")
      })
    )
    return Effect.runPromise(program)
  })
})

describe("Decoder", () => {
  it("passes over contents wherever a block ends, and lets blocks be reused", () => {
    const builder = new ArchiveBuilder()
    builder.file("a", "x".repeat(100))
    builder.file("b", "y".repeat(100))
    builder.symlink("c", "target")
    const { archive } = builder.finish()
    for (let blockBytes = 1; blockBytes <= archive.length; blockBytes++) {
      const decoder = new Decoder()
      const block = new Uint8Array(blockBytes)
      const seen: Array<string> = []
      for (let at = 0; at < archive.length;) {
        const piece = archive.subarray(at, at + blockBytes)
        block.set(piece)
        decoder.push(block.subarray(0, piece.length))
        at += piece.length
        for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
          if (event.kind === "entry") seen.push(textOf(event.name))
          if (event.kind === "entry" && textOf(event.name) === "a") at += decoder.skipPayload()
          if (event.kind === "payload") seen.push(textOf(event.bytes.subarray(0, 1)))
        }
        decoder.detach()
        block.fill(0xee)
      }
      decoder.finish()
      assert.deepStrictEqual([...new Set(seen)], ["", "a", "b", "y", "c"])
    }
  })
})
