/** Connections: slow clients, clients that leave, many requests at once, and how the server ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as net from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { open } from "./scene.ts"
import { computedFile, file, folder, type Node } from "./smallTree.ts"

const mebibyte = 1024 * 1024

/** Counts what is asked of it. */
const counted = (sizeBytes: number) => {
  const counts = { reads: 0, bytes: 0, running: 0, most: 0, interrupted: 0 }
  const node = computedFile(sizeBytes, (_, lengthBytes) =>
    Effect.suspend(() => {
      counts.reads++
      counts.bytes += lengthBytes
      counts.running++
      counts.most = Math.max(counts.most, counts.running)
      return Effect.as(Effect.yieldNow, new Uint8Array(lengthBytes))
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => counts.interrupted++)),
      Effect.ensuring(Effect.sync(() => counts.running--))
    )
  )
  return { counts, node }
}

/** A file whose reads never come back. */
const stuck = () => {
  const counts = { started: 0, interrupted: 0 }
  const node: Node = computedFile(mebibyte, () =>
    Effect.suspend(() => {
      counts.started++
      return Effect.never
    }).pipe(Effect.onInterrupt(() => Effect.sync(() => counts.interrupted++)))
  )
  return { counts, node }
}

const until = async (isDone: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 400 && !isDone(); turn++) await wait(10)
  assert.isTrue(isDone(), "it did not come about in time")
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** A client that sends and then takes nothing until it is told to. */
const connect = (port: number, bytes: string): net.Socket => {
  const socket = net.connect(port, "127.0.0.1")
  socket.on("error", () => socket.destroy())
  socket.pause()
  socket.write(bytes)
  return socket
}

const received = (socket: net.Socket): { count: number } => {
  const total = { count: 0 }
  socket.on("data", (bytes: Buffer) => void (total.count += bytes.length)).resume()
  return total
}

describe("a slow client", () => {
  it.live("holds back the reading of its file, and still gets all of it", () =>
    Effect.gen(function* () {
      const { counts, node } = counted(64 * mebibyte)
      const { serving } = yield* open(folder({ big: node }))
      yield* Effect.promise(async () => {
        const socket = connect(serving.port, get("/big"))
        await until(() => counts.reads > 2)
        await wait(300)
        const early = counts.bytes
        // What the system's own buffers take is some MiB.
        assert.isBelow(early, 16 * mebibyte)
        await wait(200)
        assert.strictEqual(counts.bytes, early)
        const total = received(socket)
        await until(() => total.count > 64 * mebibyte)
        assert.strictEqual(counts.bytes, 64 * mebibyte)
        socket.destroy()
      })
    })
  )
})

describe("a client that leaves", () => {
  it.live("ends the reads that only it waited for", () =>
    Effect.gen(function* () {
      const { counts, node } = stuck()
      const big = counted(64 * mebibyte)
      const { serving } = yield* open(folder({ stuck: node, big: big.node }))
      yield* Effect.promise(async () => {
        const waiting = connect(serving.port, get("/stuck"))
        await until(() => counts.started === 1)
        waiting.destroy()
        await until(() => counts.interrupted === 1)
        const reading = connect(serving.port, get("/big"))
        await until(() => big.counts.reads > 2)
        reading.destroy()
        await wait(100)
        const { bytes } = big.counts
        await wait(100)
        assert.strictEqual(big.counts.bytes, bytes)
        assert.isBelow(bytes, 32 * mebibyte)
      })
    })
  )
})

describe("many requests at once", () => {
  it.live("over one connection are worked on one by one, in order", () =>
    Effect.gen(function* () {
      const { counts, node } = counted(300 * 1024)
      const { send } = yield* open(folder({ big: node, a: file("first"), b: file("second") }))
      yield* Effect.promise(async () => {
        const last = "GET /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        const answer = await send(get("/a") + get("/big").repeat(20) + last)
        assert.lengthOf(answer.match(/HTTP\/1.1 200/g) ?? [], 22)
        assert.isTrue(answer.indexOf("first") < answer.indexOf("\0") && answer.endsWith("second"))
        assert.strictEqual(counts.bytes, 20 * 300 * 1024)
        assert.strictEqual(counts.most, 1)
      })
    })
  )

  it.live("over one connection have a bound", () =>
    Effect.gen(function* () {
      const { counts, node } = stuck()
      const { ask, send } = yield* open(folder({ stuck: node, a: file("a") }))
      yield* Effect.promise(async () => {
        assert.strictEqual(await send(get("/stuck").repeat(100)), "")
        await until(() => counts.interrupted === counts.started)
        assert.isAtMost(counts.started, 2)
        assert.strictEqual((await ask("/a")).text, "a")
      })
    })
  )

  it.live("over many connections do not wait for one that is stuck", () =>
    Effect.gen(function* () {
      const { counts, node } = stuck()
      const { ask, serving } = yield* open(folder({ stuck: node, a: file("a") }))
      yield* Effect.promise(async () => {
        const waiting = Array.from({ length: 20 }, () => connect(serving.port, get("/stuck")))
        await until(() => counts.started === 20)
        assert.strictEqual((await ask("/a")).text, "a")
        for (const socket of waiting) socket.destroy()
        await until(() => counts.interrupted === 20)
      })
    })
  )
})

describe("the end of the server", () => {
  it.live("lets an answer that is on its way come to its end", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const node = computedFile(5, () => Effect.as(Deferred.await(gate), Buffer.from("hello")))
      const scope = yield* Scope.make()
      const { ask, serving } = yield* Scope.provide(open(folder({ slow: node })), scope)
      const answer = ask("/slow")
      yield* Effect.promise(() => wait(100))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.promise(() => wait(100))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Effect.promise(() => answer)).text, "hello")
      yield* Fiber.join(closing)
      const refused = yield* Effect.promise(() => ask("/slow").catch((error: Error) => error.message))
      assert.include(String(refused), `ECONNREFUSED 127.0.0.1:${serving.port}`)
    })
  )

  it.live("does not wait for who never ends: half a request, a read that is stuck, an idle connection", () =>
    Effect.gen(function* () {
      const { counts, node } = stuck()
      const scope = yield* Scope.make()
      const { serving } = yield* Scope.provide(open(folder({ stuck: node })), scope)
      const sockets = [
        connect(serving.port, "GET / HT"),
        connect(serving.port, "GET /stuck HTTP/1.1\r\nHost: local"),
        connect(
          serving.port,
          "PROPFIND / HTTP/1.1\r\nHost: localhost\r\nDepth: 0\r\nContent-Length: 1000\r\n\r\nabc"
        ),
        connect(serving.port, get("/stuck")),
        connect(serving.port, "")
      ]
      yield* Effect.promise(() => until(() => counts.started === 1))
      yield* Effect.timeout(Scope.close(scope, Exit.void), "4 seconds")
      assert.strictEqual(counts.interrupted, 1)
      for (const socket of sockets) socket.destroy()
    })
  )
})
