/** `granary serve` for the benchmark of servers: a process of its own, with datastores and a token that may do everything. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as AuthId from "../src/model/AuthId.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import * as UserRecords from "../src/server/users/UserRecords.ts"
import { type Argv, end } from "./mountProcesses.ts"

export interface ServerSetUp {
  readonly granary: Argv
  /** New: for the server's configuration. */
  readonly config: string
  /** Folders of datastores by their names. */
  readonly stores: Readonly<Record<string, string>>
}

export interface BenchServer {
  readonly pid: number
  readonly port: number
  readonly fingerprint: string
  readonly token: AuthId.AuthId
  readonly secret: string
}

const token = AuthId.parse("bench@pbs!all")

/** Answers the token's secret. */
const configure = ({ config, stores }: ServerSetUp) =>
  Effect.gen(function* () {
    mkdirSync(config)
    const sections = Object.entries(stores).map(([name, folder]) => `datastore: ${name}\n\tpath ${folder}\n`)
    writeFileSync(path.join(config, "datastore.cfg"), sections.join("\n"))
    yield* UserRecords.putUser(config, AuthId.userOf(token))
    for (const authId of [AuthId.userOf(token), token]) {
      yield* UserRecords.putAcl(config, { authId, path: "/", roles: ["Admin"], propagate: true })
    }
    return yield* UserRecords.putToken(config, token)
  }).pipe(Effect.provide(NodePlatform.layer))

interface Printed {
  readonly url: string
  readonly fingerprint: string
}

/** What it prints as soon as it listens. */
const printedBy = async (child: ChildProcess): Promise<Printed> => {
  let text = ""
  const isThere = new Promise<Printed>((resolve) => {
    child.stdout?.on("data", (piece: Buffer) => {
      text += piece.toString()
      if (text.trimEnd().endsWith("}")) resolve(JSON.parse(text) as Printed)
    })
  })
  const hasEnded = once(child, "exit").then(() => {
    throw new Error(`granary serve ended at once: ${text}`)
  })
  return Promise.race([isThere, hasEnded])
}

const start = async ({ config, granary: [program, ...rest] }: ServerSetUp) => {
  const argv = [...rest, "serve", "--listen", "127.0.0.1:0", "--output", "json"]
  const child = spawn(program, argv, {
    env: { ...process.env, GRANARY_CONFIG_DIR: config },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const { fingerprint, url } = await printedBy(child)
  return { pid: child.pid ?? 0, port: Number(new URL(url).port), fingerprint }
}

/** Serves until the scope ends. */
export const startServer = (setUp: ServerSetUp): Effect.Effect<BenchServer, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const secret = yield* configure(setUp)
    const started = yield* Effect.acquireRelease(
      Effect.promise(() => start(setUp)),
      ({ pid }) => Effect.promise(() => end(pid))
    )
    return { ...started, token, secret }
  })
