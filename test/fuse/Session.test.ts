/**
 * Every request is answered once, whatever it is and whatever the tree does; and what the kernel takes back is ended.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { Channel } from "../../src/fuse/kernel/Channel.ts"
import type { Faults } from "../../src/fuse/kernel/Faults.ts"
import * as Session from "../../src/fuse/kernel/Session.ts"
import { fromReason } from "../../src/fuse/protocol/Errno.ts"
import { Opcode } from "../../src/fuse/protocol/Opcode.ts"
import * as Reply from "../../src/fuse/protocol/Reply.ts"
import * as Request from "../../src/fuse/protocol/Request.ts"
import { rootInode, type Vfs } from "../../src/vfs/Vfs.ts"
import { MemoryVfs } from "../vfs/MemoryVfs.ts"
import { name, request, u32, u64 } from "./structs.ts"

interface Answer {
  readonly unique: bigint
  readonly errno: number
  readonly bytes: Buffer
}

const withoutReply: ReadonlyArray<number> = [Opcode.forget, Opcode.batchForget, Opcode.interrupt]

const makeSession = (tree: Vfs["Service"]) => {
  const answers: Array<Answer> = []
  const defects: Array<unknown> = []
  const reply = Reply.makeBuffer(Reply.headerBytes + 128 * 1024)
  const channel: Channel = {
    reply,
    send: (unique, lengthBytes) =>
      void answers.push({ unique, errno: 0, bytes: Buffer.from(reply.bytes.slice(16, lengthBytes)) }),
    sendError: (unique, errno) => void answers.push({ unique, errno, bytes: Buffer.alloc(0) }),
    sendBytes: (unique, bytes) => void answers.push({ unique, errno: 0, bytes: Buffer.from(bytes) }),
    close: () => undefined
  }
  const faults: Faults = {
    defect: (_, defect) => void defects.push(defect),
    errnoOf: (_, cause) => {
      for (const reason of cause.reasons) {
        if (Cause.isDieReason(reason)) defects.push(reason.defect)
        if (Cause.isDieReason(reason)) return 5
        if (Cause.isFailReason(reason)) return fromReason(reason.error.reason)
      }
      return 4
    },
    refusedReply: () => undefined
  }
  const inits: Array<string> = []
  const session = Session.make({
    tree,
    channel,
    faults,
    context: Context.empty(),
    onInit: ({ kind }) => void inits.push(kind)
  })
  const buffer = Request.makeBuffer()
  const ask = (bytes: Uint8Array): void => {
    buffer.bytes.set(bytes)
    session.onRequest(buffer, bytes.length)
  }
  return { answers, ask, defects, inits, session }
}

const readBody = (offset: number, sizeBytes: number) => [
  u64(0),
  u64(offset),
  u32(sizeBytes),
  u32(0),
  u64(0),
  u32(0),
  u32(0)
]

const tree = () => {
  const memory = new MemoryVfs()
  memory.file(rootInode, "a", "content", { xattrs: { "user.x": Buffer.from("1") } })
  memory.symlink(rootInode, "l", "a")
  memory.directory(rootInode, "d")
  return memory.vfs
}

describe("a session", () => {
  it("answers each request once, honest or not, and throws at none", () => {
    const opcode = fc.oneof(fc.constantFrom(...Object.values(Opcode)), fc.nat(100))
    const inode = fc.oneof(fc.bigInt(0n, 6n), fc.bigInt(0n, 2n ** 64n - 1n))
    const asked = fc.record({ opcode, inode, body: fc.uint8Array({ maxLength: 80 }), cut: fc.nat(20) })
    fc.assert(
      fc.property(fc.array(asked, { maxLength: 20 }), (requests) => {
        const { answers, ask, defects } = makeSession(tree())
        requests.forEach(({ body, cut, ...head }, index) => {
          const bytes = request({ ...head, unique: BigInt(index) }, body)
          ask(cut < 10 ? bytes : bytes.subarray(0, Math.max(40, bytes.length - cut)))
          const isLying = cut >= 10 && body.length > 0
          const found = answers.filter(({ unique }) => unique === BigInt(index))
          if (withoutReply.includes(head.opcode)) assert.isAtMost(found.length, 1)
          else assert.strictEqual(found.length, 1)
          if (isLying) assert.strictEqual(found[0]?.errno, 22)
        })
        assert.deepStrictEqual(defects, [])
      }),
      { numRuns: 500 }
    )
  })

  it("answers EIO when the tree throws, dies, or gives what cannot be sent", () => {
    const broken: Vfs["Service"] = {
      ...tree(),
      attributes: () => {
        throw new Error("thrown")
      },
      readLink: () => Effect.die("died"),
      list: () => Effect.succeed({ entries: undefined as never, validSeconds: 1 })
    }
    const { answers, ask, defects } = makeSession(broken)
    ask(request({ opcode: Opcode.attributes, unique: 1n }, u32(0), u32(0), u64(0)))
    ask(request({ opcode: Opcode.readLink, unique: 2n }))
    ask(request({ opcode: Opcode.readDirectory, unique: 3n, inode: 1n }, ...readBody(0, 4096)))
    assert.deepStrictEqual(
      answers.map(({ errno, unique }) => [unique, errno]),
      [
        [1n, 5],
        [2n, 5],
        [3n, 5]
      ]
    )
    assert.strictEqual(defects.length, 3)
  })

  it.live("answers in the order in which reads are ready, and ends what is taken back", () =>
    Effect.gen(function* () {
      const memory = new MemoryVfs()
      const state = { isInterrupted: false }
      const hanging = memory.file(rootInode, "hanging", {
        sizeBytes: 10,
        read: () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              state.isInterrupted = true
            })
          )
      })
      const late = memory.file(rootInode, "late", {
        sizeBytes: 10,
        read: () => Effect.as(Effect.sleep("30 millis"), Buffer.from("late"))
      })
      const soon = memory.file(rootInode, "soon", "soon")
      const { answers, ask } = makeSession(memory.vfs)
      // No thread of that number: one that cannot be looked at counts as ending.
      const head = { opcode: Opcode.read, threadId: 0 }
      ask(request({ ...head, unique: 2n, inode: hanging }, ...readBody(0, 10)))
      ask(request({ ...head, unique: 4n, inode: late }, ...readBody(0, 10)))
      ask(request({ ...head, unique: 6n, inode: soon }, ...readBody(0, 10)))
      assert.deepStrictEqual(
        answers.map(({ unique }) => unique),
        [6n]
      )
      ask(request({ opcode: Opcode.interrupt, unique: 3n }, u64(2)))
      assert.deepInclude(answers.at(-1), { unique: 2n, errno: 4 })
      assert.isTrue(state.isInterrupted)
      yield* Effect.sleep("100 millis")
      assert.deepInclude(answers.at(-1), { unique: 4n, errno: 0, bytes: Buffer.from("late") })
      // Long answered: nothing happens.
      ask(request({ opcode: Opcode.interrupt, unique: 5n }, u64(4)))
      assert.strictEqual(answers.length, 3)
    })
  )

  it.live("ends everything at its own end", () =>
    Effect.gen(function* () {
      const memory = new MemoryVfs()
      const inode = memory.file(rootInode, "f", { sizeBytes: 10, read: () => Effect.never })
      const { answers, ask, session } = makeSession(memory.vfs)
      for (const unique of [2n, 4n, 6n]) ask(request({ opcode: 15, unique, inode }, ...readBody(0, 10)))
      yield* session.interruptAll
      assert.deepStrictEqual(
        answers.map(({ errno }) => errno),
        [4, 4, 4]
      )
    })
  )

  it("lets so many reads run at a time, and the others wait", () => {
    const memory = new MemoryVfs()
    let running = 0
    const inode = memory.file(rootInode, "f", {
      sizeBytes: 10,
      read: () =>
        Effect.suspend(() => {
          running++
          return Effect.never
        })
    })
    const { ask } = makeSession(memory.vfs)
    for (let unique = 2n; unique < 1000n; unique += 2n) {
      ask(request({ opcode: 15, unique, inode }, ...readBody(0, 10)))
    }
    assert.strictEqual(running, 128)
  })

  it("never asks the tree for more than was agreed on", () => {
    const asked: Array<number> = []
    const watched: Vfs["Service"] = {
      ...tree(),
      lend: (_, __, lengthBytes, use) => {
        asked.push(lengthBytes)
        return Effect.sync(() => use(new Uint8Array(0)))
      }
    }
    makeSession(watched).ask(request({ opcode: 15 }, ...readBody(0, 0xffff_ffff)))
    assert.deepStrictEqual(asked, [1024 * 1024])
  })

  it("keeps a directory as it was opened", () => {
    const memory = new MemoryVfs()
    memory.file(rootInode, "a", "")
    memory.file(rootInode, "b", "")
    const { answers, ask } = makeSession(memory.vfs)
    ask(request({ opcode: Opcode.openDirectory, inode: 1n }, u32(0), u32(0)))
    const handle = answers[0]?.bytes.readBigUInt64LE(0) ?? 0n
    memory.remove(rootInode, "a")
    const list = (cookie: number) =>
      ask(
        request(
          { opcode: Opcode.readDirectory, inode: 1n },
          u64(handle),
          u64(cookie),
          u32(4096),
          u32(0),
          u64(0),
          u32(0),
          u32(0)
        )
      )
    list(2)
    assert.include(answers.at(-1)?.bytes.toString("latin1"), "a")
    ask(request({ opcode: Opcode.releaseDirectory, inode: 1n }, u64(handle), u32(0), u32(0), u64(0)))
    list(2)
    assert.strictEqual(answers.at(-1)?.bytes.subarray(24, 25).toString(), "b")
  })

  it("finds dot and dot-dot, which exported file systems ask for", () => {
    const memory = new MemoryVfs()
    const sub = memory.directory(memory.directory(rootInode, "d"), "sub")
    const { answers, ask } = makeSession(memory.vfs)
    ask(request({ opcode: Opcode.lookup, inode: sub }, name(".")))
    ask(request({ opcode: Opcode.lookup, inode: sub }, name("..")))
    assert.deepStrictEqual(
      answers.map(({ bytes }) => bytes.readBigUInt64LE(0)),
      [sub, sub - 1n]
    )
  })

  it("says whether the kernel can be talked to", () => {
    const { answers, ask, inits } = makeSession(tree())
    ask(request({ opcode: Opcode.init }, u32(8), u32(1), u32(0), u32(0)))
    assert.strictEqual(answers.at(-1)?.bytes.readUInt32LE(0), 7)
    ask(request({ opcode: Opcode.init }, u32(7), u32(30), u32(0), u32(0)))
    assert.strictEqual(answers.at(-1)?.errno, 71)
    ask(request({ opcode: Opcode.init }, u32(7), u32(31), u32(0), u32(0)))
    assert.deepStrictEqual(inits, ["too old", "ready"])
  })
})
