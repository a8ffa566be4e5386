import { assert, describe, it } from "@effect/vitest"
import { ByteWriter } from "../../../src/format/ByteWriter.ts"
import { FormatError } from "../../../src/format/FormatError.ts"
import { AttributeCollector, writeAttributes } from "../../../src/format/pxar/Attributes.ts"
import * as Items from "../../../src/format/pxar/Items.ts"
import { type FileMetadata, makeFileMetadata } from "../../../src/model/FileMetadata.ts"
import { bytesOf } from "./goldens.ts"

const PLAIN = makeFileMetadata({ mode: 0o100644 })

const FULL = makeFileMetadata({
  mode: 0o100644,
  xattrs: [
    { name: bytesOf("user.a"), value: bytesOf("with\0NUL") },
    { name: bytesOf("user.b"), value: bytesOf("") }
  ],
  acl: {
    users: [
      { id: 1000, permissions: 6 },
      { id: 4294967294, permissions: 0 }
    ],
    groups: [{ id: 2000, permissions: 5 }],
    groupObject: 4,
    default: { userObject: 7, groupObject: undefined, other: 0, mask: undefined },
    defaultUsers: [{ id: 1, permissions: 7 }],
    defaultGroups: [{ id: 2, permissions: 1 }]
  },
  fcaps: bytesOf("capabilities"),
  quotaProjectId: 2n ** 64n - 1n
})

type Attribute = readonly [item: Items.Item, content: Uint8Array]

const itemsOf = (metadata: FileMetadata): Array<Attribute> => {
  const writer = new ByteWriter()
  writeAttributes(writer, metadata)
  const bytes = writer.finish()
  const view = new DataView(bytes.buffer)
  const items: Array<Attribute> = []
  for (let at = 0; at < bytes.length;) {
    const { contentBytes, item } = Items.readHeader(view, at, at)
    const start = at + Items.HEADER_BYTES
    at = start + contentBytes
    items.push([item, bytes.subarray(start, at)])
  }
  return items
}

const collect = (items: ReadonlyArray<Attribute>): FileMetadata => {
  const collector = new AttributeCollector(PLAIN)
  for (const [item, content] of items) collector.add(item, content, 0)
  return collector.finish()
}

describe("attributes", () => {
  it("come back as they were written, in the order of the format", () => {
    const items = itemsOf(FULL)
    const own = "XATTR XATTR ACL_USER ACL_USER ACL_GROUP ACL_GROUP_OBJ"
    const inherited = "ACL_DEFAULT ACL_DEFAULT_USER ACL_DEFAULT_GROUP"
    assert.strictEqual(items.map(([item]) => item.name).join(" "), `${own} ${inherited} FCAPS QUOTA_PROJID`)
    assert.deepStrictEqual(collect(items), FULL)
    assert.deepStrictEqual(collect([]), PLAIN)
  })

  it("are refused in any other order", () => {
    const items = itemsOf(FULL)
    for (let index = 0; index + 1 < items.length; index++) {
      const [first, second] = [items[index], items[index + 1]]
      if (first === undefined || second === undefined || first[0] === second[0]) continue
      assert.throws(() => collect([second, first]), FormatError, undefined, second[0].name)
    }
  })

  it("are refused twice where one may stand", () => {
    const single = new Set([Items.ACL_GROUP_OBJ, Items.ACL_DEFAULT, Items.FCAPS, Items.QUOTA_PROJID])
    for (const attribute of itemsOf(FULL)) {
      if (single.has(attribute[0])) assert.throws(() => collect([attribute, attribute]), FormatError)
      else collect([attribute, attribute])
    }
  })

  it("are refused beyond their limits", () => {
    const xattr = (name: Uint8Array, value: Uint8Array): FileMetadata => ({
      ...PLAIN,
      xattrs: [{ name, value }]
    })
    const longest = new Uint8Array(255).fill(0x61)
    assert.deepStrictEqual(collect(itemsOf(xattr(longest, bytesOf("x")))), xattr(longest, bytesOf("x")))
    assert.throws(() => itemsOf(xattr(new Uint8Array(256).fill(0x61), bytesOf("x"))), FormatError)
    assert.throws(() => itemsOf(xattr(bytesOf(""), bytesOf("x"))), FormatError)
    assert.throws(() => itemsOf(xattr(bytesOf("a\0b"), bytesOf("x"))), FormatError)
    assert.throws(() => itemsOf({ ...PLAIN, fcaps: new Uint8Array(70_000) }), FormatError)
    assert.throws(() => collect([[Items.XATTR, bytesOf("no NUL")]]), FormatError)
    assert.throws(() => collect([[Items.XATTR, bytesOf("\0x")]]), FormatError)
    assert.throws(() => collect([[Items.ACL_GROUP_OBJ, new ByteWriter().u64(8).finish()]]), FormatError)
    const big = [Items.XATTR, new Uint8Array(65_000).fill(0x61, 0, 1)] as const
    assert.throws(() => collect(Array.from({ length: 1100 }, () => big)), FormatError)
  })
})
