/** Requests are decoded as linux/fuse.h lays them out, and no bytes whatever make the decoder throw. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Opcode } from "../../src/fuse/protocol/Opcode.ts"
import * as Request from "../../src/fuse/protocol/Request.ts"
import { name, request, struct, u32, u64 } from "./structs.ts"

const decode = (bytes: Uint8Array, lengthBytes = bytes.length) => {
  const buffer = Request.makeBuffer()
  // What an earlier request left there is not this one's.
  buffer.bytes.fill(0xee)
  buffer.bytes.set(bytes)
  return Request.decode(buffer, lengthBytes)
}

const bodyOf = (bytes: Uint8Array) => {
  const decoded = decode(bytes)
  if (decoded === undefined) return undefined
  const { head: _, ...body } = decoded
  return body
}

describe("requests", () => {
  it("begin with who asks what of which inode", () => {
    const head = { opcode: Opcode.attributes, unique: 2n ** 63n, inode: 2n ** 64n - 1n, threadId: 4242 }
    assert.deepStrictEqual(decode(request(head, u32(0), u32(0), u64(0)))?.head, head)
  })

  const read = [u64(7), u64(2n ** 40n + 1n), u32(131_072), u32(0), u64(0), u32(0), u32(0)]

  it.each([
    [
      "lookup",
      request({ opcode: 1 }, name("a b")),
      { kind: "lookup", name: Uint8Array.from(Buffer.from("a b")) }
    ],
    ["getattr", request({ opcode: 3 }, u32(0), u32(0), u64(0)), { kind: "attributes" }],
    ["readlink", request({ opcode: 5 }), { kind: "readLink" }],
    ["open", request({ opcode: 14 }, u32(0x8001), u32(0)), { kind: "open", flags: 0x8001 }],
    ["opendir", request({ opcode: 27 }, u32(0x10000), u32(0)), { kind: "openDirectory", flags: 0x10000 }],
    ["read", request({ opcode: 15 }, ...read), { kind: "read", offset: 2 ** 40 + 1, sizeBytes: 131_072 }],
    [
      "readdir",
      request({ opcode: 28 }, ...read),
      { kind: "list", handle: 7, cookie: 2 ** 40 + 1, sizeBytes: 131_072, withAttributes: false }
    ],
    [
      "readdirplus",
      request({ opcode: 44 }, ...read),
      { kind: "list", handle: 7, cookie: 2 ** 40 + 1, sizeBytes: 131_072, withAttributes: true }
    ],
    [
      "releasedir",
      request({ opcode: 29 }, u64(9), u32(0), u32(0), u64(0)),
      { kind: "releaseDirectory", handle: 9 }
    ],
    [
      "getxattr",
      request({ opcode: 22 }, u32(100), u32(0), name("user.foo")),
      { kind: "xattr", name: Uint8Array.from(Buffer.from("user.foo")), sizeBytes: 100 }
    ],
    ["listxattr", request({ opcode: 23 }, u32(64), u32(0)), { kind: "xattrNames", sizeBytes: 64 }],
    [
      "lseek",
      request({ opcode: 46 }, u64(1), u64(4096), u32(3), u32(0)),
      { kind: "seek", offset: 4096, whence: 3 }
    ],
    ["interrupt", request({ opcode: 36 }, u64(2n ** 60n)), { kind: "interrupt", target: 2n ** 60n }],
    ["statfs", request({ opcode: 17 }), { kind: "statistics" }],
    ["forget", request({ opcode: 2 }, u64(1)), { kind: "forget" }],
    ["batch_forget", request({ opcode: 42 }, u32(1), u32(0), u64(3), u64(1)), { kind: "forget" }],
    ["destroy", request({ opcode: 38 }), { kind: "destroy" }],
    ["setattr", request({ opcode: 4 }), { kind: "change" }],
    ["write", request({ opcode: 16 }), { kind: "change" }],
    ["tmpfile", request({ opcode: 51 }), { kind: "change" }],
    ["ioctl", request({ opcode: 39 }), { kind: "unknown" }],
    ["what comes after us", request({ opcode: 4096 }), { kind: "unknown" }],
    [
      "init of Linux 6",
      request({ opcode: 26 }, u32(7), u32(45), u32(131_072), u32(0x73fffffb), u32(0x1ff), Buffer.alloc(44)),
      { kind: "init", major: 7, minor: 45, readAheadMaxBytes: 131_072, flags: 0x73fffffb }
    ],
    [
      "init of Linux 5.4",
      request({ opcode: 26 }, u32(7), u32(31), u32(131_072), u32(0x3fffffb)),
      { kind: "init", major: 7, minor: 31, readAheadMaxBytes: 131_072, flags: 0x3fffffb }
    ]
  ])("%s", (_, bytes, body) => {
    assert.deepStrictEqual<unknown>(bodyOf(bytes), body)
  })

  it.each([
    ["a name without its end", request({ opcode: 1 }, Buffer.from("abc"))],
    ["a name of nothing", request({ opcode: 1 }, Buffer.from([0]))],
    ["a name with an end inside", request({ opcode: 1 }, Buffer.from("a\0b\0"))],
    ["no name", request({ opcode: 1 })],
    ["an attribute's name without its end", request({ opcode: 22 }, u32(1), u32(0), Buffer.from("user.x"))],
    ["a read that is short", request({ opcode: 15 }, u64(0), u64(0))],
    ["an offset that no file reaches", request({ opcode: 15 }, u64(0), u64(2n ** 63n), ...read.slice(2))],
    ["an init that is short", request({ opcode: 26 }, u32(7))],
    ["a length that is too large", struct(u32(1000), request({ opcode: 3 }).subarray(4))],
    ["a length that is too small", struct(u32(8), request({ opcode: 3 }).subarray(4))]
  ])("refuses %s, and knows whom to answer", (_, bytes) => {
    const decoded = decode(bytes)
    assert.strictEqual(decoded?.kind, "malformed")
    assert.strictEqual(decoded?.head.unique, 9n)
  })

  it("has nobody to answer without a whole header", () => {
    assert.isUndefined(decode(request({ opcode: 3 }).subarray(0, 39)))
    assert.isUndefined(decode(new Uint8Array(0)))
  })

  it("never throws, and never takes what is not the request's", () => {
    const opcode = fc.oneof(fc.constantFrom(...Object.values(Opcode)), fc.nat(0xffff))
    fc.assert(
      fc.property(opcode, fc.uint8Array({ maxLength: 120 }), fc.boolean(), (code, body, isHonest) => {
        const bytes = request({ opcode: code }, body)
        const decoded = decode(isHonest ? bytes : bytes.subarray(0, 40 + Math.floor(body.length / 2)))
        if (decoded === undefined) return
        if (!isHonest && body.length > 1) assert.strictEqual(decoded.kind, "malformed")
        if (decoded.kind === "lookup") assert.strictEqual(decoded.name.length, body.length - 1)
        if (decoded.kind === "xattr") assert.strictEqual(decoded.name.length, body.length - 9)
        assert.strictEqual(decoded.head.unique, 9n)
      }),
      { numRuns: 2000 }
    )
  })
})
