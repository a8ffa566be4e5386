/** A server as if it were far away: behind a process of its own that delays every request (`s3Proxy`). */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"

/** The address behind the delay; it lasts as long as the scope. */
export const lateServer = (url: string, latencyMillis: number): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const script = path.join(import.meta.dirname, "s3Proxy.ts")
        const argv = ["--conditions=development", script, url, String(latencyMillis)]
        const proxy = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] })
        const [printed] = (await once(proxy.stdout, "data")) as [Buffer]
        return { proxy, url: printed.toString().trim() }
      }),
      ({ proxy }) => Effect.sync(() => proxy.stdin.end())
    ),
    (started) => started.url
  )
