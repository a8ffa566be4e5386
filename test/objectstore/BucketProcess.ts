/** Another process on the same bucket (`bucketProgram.ts`), spoken with line by line. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { createInterface } from "node:readline"

export interface BucketProcess {
  readonly send: (line: string) => void
  /** The next line it prints. */
  readonly next: Effect.Effect<string>
  /** Ends it without a chance to clean up, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

const spawnProgram = (parameters: ReadonlyArray<string>): BucketProcess => {
  const program = join(import.meta.dirname, "bucketProgram.ts")
  const child = spawn(process.execPath, [program, ...parameters], { stdio: ["pipe", "pipe", "inherit"] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    send: (line) => void child.stdin.write(`${line}\n`),
    next: Effect.promise(async () => {
      const { done, value } = await lines.next()
      return done === true ? "exited" : value
    }),
    kill: Effect.promise(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGKILL")
      await once(child, "exit")
    })
  }
}

export const startBucketProcess = (
  ...parameters: ReadonlyArray<string>
): Effect.Effect<BucketProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawnProgram(parameters)),
    (child) => child.kill
  ).pipe(Effect.tap((child) => child.next))
