/**
 * Rgw: a real S3 server (Ceph's object gateway) for tests, started and ended by `scripts/rgw.sh` in a scratch folder,
 * on ports that were free. Only there when its programs are installed; with GRANARY_NEEDS_RGW set, tests fail instead
 * of passing over it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync
} from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { sendSigned } from "./sendSigned.ts"
import type { Credentials } from "./signatureV4.ts"

export class RgwError extends Data.TaggedError("RgwError")<{ readonly message: string }> {}

export interface Rgw extends Credentials {
  readonly url: string
  readonly bucket: string
  /** Where it keeps everything. */
  readonly folder: string
  /** Ends all of it without a chance to clean up. */
  readonly kill: Effect.Effect<void, RgwError>
  /** After `kill`: the same server, on the same port. What it holds is still there with `bluestore` only. */
  readonly restart: Effect.Effect<void, RgwError>
}

export interface Options {
  /** `memstore` is there in half of the time. Default `memstore`. */
  readonly store?: "memstore" | "bluestore"
  /** The server goes when this process has gone. Default this one. */
  readonly ownerProcessId?: number
}

const programs = ["radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool", "curl"]

const isProgram = (name: string): boolean =>
  (process.env["PATH"] ?? "").split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** Whether the programs are there. */
export const available: boolean = programs.every(isProgram)

/** Whether it is a failure when they are not. */
export const needed: boolean = (process.env["GRANARY_NEEDS_RGW"] ?? "") !== ""

const script = path.resolve(import.meta.dirname, "../../scripts/rgw.sh")

const credentials: Credentials = {
  accessKey: "test-access",
  secretKey: "test-secret-of-the-gateway",
  region: "us-east-1"
}

const run = (
  action: "start" | "stop" | "kill",
  folder: string,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<void, RgwError> =>
  Effect.callback((resume) => {
    const env = { ...process.env, ...environment }
    execFile("sh", [script, action, folder], { env }, (error, _, diagnostics) =>
      resume(
        error === null
          ? Effect.void
          : Effect.fail(new RgwError({ message: `cannot ${action} the gateway: ${diagnostics}` }))
      )
    )
  })

/** Two ports that nobody listens on. */
const freePorts = async (): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(
    [0, 1].map(async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    })
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

const bucket = "test-bucket"

/** The folder goes when the scope ends, and the server before it. */
const scratchFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(path.join(tmpdir(), "granary-rgw-"))),
  (folder) =>
    run("kill", folder).pipe(
      Effect.ignore,
      Effect.andThen(Effect.promise(() => rm(folder, { recursive: true, force: true, maxRetries: 5 })))
    )
)

const makeBucket = (server: Credentials & { readonly url: string }, bucket: string) =>
  Effect.gen(function* () {
    const created = yield* Effect.promise(() => sendSigned(server, { method: "PUT", target: `/${bucket}` }))
    if (created.status !== 200) return yield* new RgwError({ message: `no bucket: ${created.text}` })
  })

const startIn = (folder: string, { store = "memstore", ownerProcessId = process.pid }: Options) =>
  Effect.gen(function* () {
    const [port, monitorPort] = yield* Effect.promise(freePorts)
    const begin = run("start", folder, {
      RGW_PORT: String(port),
      RGW_MONITOR_PORT: String(monitorPort),
      RGW_STORE: store,
      RGW_ACCESS_KEY: credentials.accessKey,
      RGW_SECRET_KEY: credentials.secretKey,
      RGW_OWNER: String(ownerProcessId)
    })
    yield* begin
    return {
      ...credentials,
      url: `http://127.0.0.1:${port}`,
      folder,
      kill: run("kill", folder),
      restart: begin
    }
  })

/** Runs until the scope ends. A port that was free may have been taken meanwhile: so there is a second attempt. */
export const startWith = (options: Options): Effect.Effect<Rgw, RgwError, Scope.Scope> =>
  scratchFolder.pipe(
    Effect.flatMap((folder) => startIn(folder, options)),
    Effect.tap((server) => makeBucket(server, bucket)),
    Effect.map((server) => ({ ...server, bucket })),
    Effect.retry({ times: 1 })
  )

export const start: Effect.Effect<Rgw, RgwError, Scope.Scope> = startWith({})

type Shared = Omit<Rgw, "kill" | "restart">

/** The process that runs all test files, each in a process of its own; without such a one, this process. */
const ownerOfAll = process.connected ? process.ppid : process.pid

/** The first process that wants the server makes this folder, and starts it there. */
const sharedFolder = path.join(tmpdir(), `granary-rgw-of-${ownerOfAll}`)
const readyFile = path.join(sharedFolder, "ready.json")

const isFirst = (): boolean => {
  try {
    mkdirSync(sharedFolder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

const announce = (ready: object): void => {
  writeFileSync(`${readyFile}.tmp`, JSON.stringify(ready))
  renameSync(`${readyFile}.tmp`, readyFile)
}

const startForAll = startIn(sharedFolder, { ownerProcessId: ownerOfAll }).pipe(
  Effect.tap(({ url }) => Effect.sync(() => announce({ url }))),
  Effect.tapError(({ message }) => Effect.sync(() => announce({ message }))),
  Effect.asVoid
)

const startMaxMillis = 120_000
const pauseMillis = 100

const awaitReady = (waitedMillis = 0): Effect.Effect<string, RgwError> =>
  Effect.suspend(() => {
    if (existsSync(readyFile)) {
      const ready: { readonly url?: string; readonly message?: string } = JSON.parse(
        readFileSync(readyFile, "utf8")
      )
      return ready.url === undefined
        ? Effect.fail(new RgwError({ message: String(ready.message) }))
        : Effect.succeed(ready.url)
    }
    return waitedMillis > startMaxMillis
      ? Effect.fail(new RgwError({ message: `no gateway in ${sharedFolder} after ${waitedMillis} ms` }))
      : Effect.andThen(Effect.sleep(pauseMillis), awaitReady(waitedMillis + pauseMillis))
  })

const meet: Effect.Effect<Shared, RgwError> = Effect.gen(function* () {
  if (isFirst()) yield* startForAll
  const server = { ...credentials, url: yield* awaitReady() }
  const own = `${bucket}-${process.pid}`
  yield* makeBucket(server, own)
  return { ...server, bucket: own, folder: sharedFolder }
})

let met: Promise<Exit.Exit<Shared, RgwError>> | undefined

/**
 * One server for all test files of a run, with a bucket for each of their processes; it ends with the run. Each test
 * takes a prefix of its own.
 */
export const shared: Effect.Effect<Shared, RgwError> = Effect.suspend(() => {
  met ??= Effect.runPromiseExit(meet)
  const meeting = met
  return Effect.flatten(Effect.promise(() => meeting))
})
