import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { linesOf } from "../../../src/backup/directory/ExcludeFile.ts"
import { fileFlagsOfInode } from "../../../src/model/InodeFlags.ts"
import { PathBuffer } from "../../../src/backup/directory/PathBuffer.ts"
import { parseAcl } from "../../../src/backup/directory/PosixAcl.ts"
import { Warnings } from "../../../src/backup/directory/Warnings.ts"
import { FileFlag } from "../../../src/model/FileMetadata.ts"
import { bytesOf } from "../../format/pxar/goldens.ts"

const NO_ID = 0xffff_ffff

const aclOf = (
  ...entries: ReadonlyArray<readonly [tag: number, permissions: number, id?: number]>
): Uint8Array => {
  const value = Buffer.alloc(4 + 8 * entries.length)
  value.writeUInt32LE(2, 0)
  entries.forEach(([tag, permissions, id = NO_ID], index) => {
    value.writeUInt16LE(tag, 4 + 8 * index)
    value.writeUInt16LE(permissions, 6 + 8 * index)
    value.writeUInt32LE(id, 8 + 8 * index)
  })
  return value
}

const unexpected = (): never => assert.fail("malformed")

describe("PosixAcl", () => {
  it("keeps what the mode does not say, ordered by id", () => {
    const access = aclOf([1, 6], [2, 4, 1001], [2, 6, 1000], [4, 4], [8, 5, 2000], [16, 7], [32, 4])
    assert.deepStrictEqual(parseAcl(access, undefined, unexpected), {
      users: [
        { id: 1000, permissions: 6 },
        { id: 1001, permissions: 4 }
      ],
      groups: [{ id: 2000, permissions: 5 }],
      groupObject: 4,
      default: undefined,
      defaultUsers: [],
      defaultGroups: []
    })
    assert.isUndefined(parseAcl(aclOf([1, 6], [4, 4], [32, 4]), undefined, unexpected))
  })

  it("keeps all of a default list", () => {
    const acl = parseAcl(undefined, aclOf([1, 7], [4, 5], [32, 4]), unexpected)
    assert.deepStrictEqual(acl?.default, { userObject: 7, groupObject: 5, other: 4, mask: undefined })
    assert.isUndefined(acl?.groupObject)
  })

  it("tells of malformed lists and does without them", () => {
    const good = aclOf([1, 7], [4, 5], [16, 5], [32, 4])
    const bad = [new Uint8Array(3), good.subarray(0, 11), aclOf([1, 8]), bytesOf("\x03\0\0\0")]
    for (const value of bad) {
      let told = 0
      assert.strictEqual(parseAcl(good, value, () => told++)?.groupObject, 5)
      assert.strictEqual(told, 1)
    }
  })

  it("takes any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, hasVersion) => {
        const value = hasVersion ? Buffer.concat([Uint8Array.of(2, 0, 0, 0), bytes]) : bytes
        const acl = parseAcl(value, value, () => undefined)
        for (const { permissions } of [...(acl?.users ?? []), ...(acl?.defaultGroups ?? [])]) {
          assert.isAtMost(permissions, 7)
        }
      })
    )
  })
})

describe("InodeFlags", () => {
  it("keeps what chattr sets and drops how a file is stored", () => {
    const extents = 0x80000
    assert.strictEqual(fileFlagsOfInode(extents), 0)
    assert.strictEqual(fileFlagsOfInode(extents | 0x10 | 0x40), FileFlag.immutable | FileFlag.noDump)
    assert.strictEqual(
      fileFlagsOfInode(0x20000000 | 0x800000),
      FileFlag.projectInherit | FileFlag.noCopyOnWrite
    )
    assert.strictEqual(fileFlagsOfInode(0x10000 | 0x400 | 0x4), 0x200000 | 0x1000000 | 0x40000)
  })
})

describe("linesOf", () => {
  const linesIn = (text: string): Array<string> =>
    [...linesOf(bytesOf(text))].map((line) => Buffer.from(line).toString())

  it("drops comments, empty lines and white space around lines", () => {
    assert.deepStrictEqual(linesIn("a\n\n# no\n  b c \t\r\n #no\n\\#d"), ["a", "b c", "\\#d"])
    assert.deepStrictEqual(linesIn(""), [])
    assert.deepStrictEqual(linesIn("\n\n \n"), [])
  })

  it("agrees with splitting the text", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a# \n\t]{0,30}$/), (text) => {
        const expected = text
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== "" && !line.startsWith("#"))
        assert.deepStrictEqual(linesIn(text), expected)
      })
    )
  })
})

describe("PathBuffer", () => {
  it("is the names on the way, joined", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.string({ minLength: 1, maxLength: 600 }))), (moves) => {
        const path = new PathBuffer()
        const lengths = [0]
        const names: Array<string> = []
        for (const [up, name] of moves) {
          const depth = Math.max(0, names.length - up)
          names.length = depth
          lengths.length = depth + 1
          path.moveTo(lengths[depth] ?? 0, bytesOf(name))
          names.push(name)
          lengths.push(path.length)
          assert.deepStrictEqual(path.copy(), bytesOf(names.join("/")))
        }
      })
    )
  })
})

describe("Warnings", () => {
  it("counts and tells all, and keeps the first thousand", () => {
    let told = 0
    const warnings = new Warnings(() => told++)
    for (let index = 0; index < 1500; index++) warnings.add(Uint8Array.of(1), `number ${index}`)
    assert.deepStrictEqual([told, warnings.count, warnings.kept.length], [1500, 1500, 1000])
    assert.strictEqual(warnings.kept.at(-1)?.message, "number 999")
  })
})
