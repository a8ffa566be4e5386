/**
 * A datastore in a bucket whose server is in trouble: a proxy in front of it delays, refuses, cuts off and falls silent.
 * Everything succeeds or fails typed; what was acknowledged stays, and when the trouble is over the next backup
 * succeeds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { FilesError } from "../../src/platform/Files.ts"
import { ChunkError } from "../../src/platform/ChunkCodec.ts"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import * as FaultProxy from "../s3/FaultProxy.ts"
import {
  type Acknowledged,
  assertKept,
  backUp,
  type Connection,
  differences,
  double,
  gateway,
  isGatewayTested,
  newHost,
  type Start,
  statesOf,
  through,
  verify,
  withoutFolder
} from "./s3Scene.ts"

const timeLimitMillis = 120_000

interface Trouble {
  readonly name: string
  readonly script: () => FaultProxy.Script
  readonly connection?: Connection
  /** Of a backup that meets it. Default `succeeds`. */
  readonly backup?: "succeeds" | "fails"
  /** Of a restore that meets it. Default `succeeds`. */
  readonly restore?: "succeeds" | "fails"
}

const every =
  (count: number, fault: FaultProxy.Fault, isMeant: (request: FaultProxy.Passing) => boolean = () => true) =>
  (): FaultProxy.Script => {
    let seen = 0
    return (request) => (isMeant(request) && ++seen % count === 0 ? fault : undefined)
  }

const isWrite = ({ method }: FaultProxy.Passing): boolean => method === "PUT"
const isRead = ({ method, target }: FaultProxy.Passing): boolean =>
  method === "GET" && !target.includes("list-type")

const isManifest = ({ target }: FaultProxy.Passing): boolean => target.includes("index.json.blob")

const hasty = (idleTimeoutSeconds: number): Connection => ({ s3: { idleTimeoutSeconds } })
const unavailable = { kind: "status", status: 503 } as const

const troubles: ReadonlyArray<Trouble> = [
  { name: "a far away server", script: () => FaultProxy.always({ kind: "latency", milliseconds: 15 }) },
  {
    name: "a storm of 503 that asks for a second, and ends",
    script: () => FaultProxy.first(2, { ...unavailable, retryAfterSeconds: 1 })
  },
  {
    name: "a storm of 503 without an end",
    script: () => FaultProxy.always({ ...unavailable, retryAfterSeconds: 0 }),
    backup: "fails",
    restore: "fails"
  },
  {
    name: "a server that takes nothing any more in the middle of a backup",
    script: () => {
      let writes = 0
      return (request) => (isWrite(request) && ++writes > 5 ? unavailable : undefined)
    },
    backup: "fails"
  },
  { name: "connections reset before the server hears", script: every(4, { kind: "reset before" }) },
  { name: "connections reset after it was done", script: every(4, { kind: "reset after" }) },
  {
    name: "answers to the manifest that never arrive",
    script: every(1, { kind: "reset after" }, (request) => isWrite(request) && isManifest(request)),
    backup: "fails"
  },
  {
    name: "manifests that never arrive",
    script: every(1, { kind: "reset before" }, (request) => isWrite(request) && isManifest(request)),
    backup: "fails"
  },
  {
    name: "bodies that are cut off, now and then",
    script: every(3, { kind: "truncated", afterBytes: 5000 }, isRead)
  },
  {
    name: "bodies that are always cut off",
    script: every(1, { kind: "truncated", afterBytes: 100 }, isRead),
    restore: "fails",
    backup: "fails"
  },
  { name: "silence, now and then", script: every(7, { kind: "stall" }), connection: hasty(0.3) },
  {
    name: "silence in the middle of bodies",
    script: every(4, { kind: "stall", afterBytes: 2000 }, isRead),
    connection: hasty(0.3)
  },
  {
    name: "silence",
    script: () => FaultProxy.always({ kind: "stall" }),
    connection: { ...hasty(0.1), retries: { baseMillis: 10, attemptsMax: 2 } },
    backup: "fails",
    restore: "fails"
  }
]

const isTyped = (error: unknown): boolean =>
  [ObjectStoreError, StoreError, FilesError, ChunkError].some((kind) => error instanceof kind)

/** It went as expected; a failure is one that callers can tell, a defect is none. */
const assertEnds = <A, E>(result: Result.Result<A, E>, expected: "succeeds" | "fails" = "succeeds"): void => {
  const told = Result.isFailure(result) ? `: ${String(result.failure)}` : ""
  assert.strictEqual(Result.isFailure(result) ? "fails" : "succeeds", expected, told)
  if (Result.isFailure(result)) assert.isTrue(isTyped(result.failure), told)
}

const survives = (start: Start, { backup, connection = {}, restore, script }: Trouble) =>
  Effect.gen(function* () {
    const server = yield* start
    const host = yield* newHost(server)
    const proxy = yield* FaultProxy.start(server.url)
    const spoiled = through(server, proxy)
    const first = yield* host.on()(backUp(1))
    const acknowledged: Array<Acknowledged[number]> = [[first.snapshot, 1]]

    proxy.follow(script())
    const second = yield* Effect.result(host.on(connection, spoiled)(backUp(2)))
    assertEnds(second, backup)
    if (Result.isSuccess(second)) acknowledged.push([second.success.snapshot, 2])
    proxy.follow(script())
    const read = yield* Effect.result(withoutFolder(spoiled, differences(first.snapshot, 1), connection))
    assertEnds(read, restore)
    if (Result.isSuccess(read)) assert.deepStrictEqual(read.success, [])
    proxy.follow(script())
    const verified = yield* Effect.result(host.on(connection, spoiled)(verify()))
    if (Result.isSuccess(verified)) {
      assert.notInclude(Object.values(statesOf(verified.success)), "failed")
    } else assert.isTrue(isTyped(verified.failure), String(verified.failure))
    assert.isNotEmpty(proxy.passed.filter(({ faults }) => faults.length > 0))

    const third = yield* host.on()(backUp(3))
    yield* assertKept(server, [...acknowledged, [third.snapshot, 3]])
  })

describe("a datastore whose server is in trouble survives", () => {
  for (const trouble of troubles) it.live(trouble.name, () => survives(double, trouble), timeLimitMillis)
})

/** A real server on a busy machine is silent for a while by itself. */
const patientSilence: Trouble = {
  name: "silence, now and then",
  script: every(20, { kind: "stall" }),
  connection: hasty(1)
}

const onGateway = [...troubles.filter(({ name }) => /reset|cut off, now and then/.test(name)), patientSilence]

describe.skipIf(!isGatewayTested)("a datastore whose real server is in trouble survives", () => {
  for (const trouble of onGateway) it.live(trouble.name, () => survives(gateway, trouble), timeLimitMillis)
})
