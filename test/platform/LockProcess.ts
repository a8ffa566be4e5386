/**
 * Another process that holds locks: a program to run (`lockProgram.ts`, or a few lines of Python for a foreign
 * one), and a small conversation with it over its standard streams, one line each way.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"

export class LockProcess {
  readonly #child: ChildProcess
  readonly #answers: Array<string> = []
  readonly #waiting: Array<(answer: string) => void> = []

  constructor(command: string, parameters: ReadonlyArray<string>) {
    this.#child = spawn(command, parameters, { stdio: ["pipe", "pipe", "inherit"] })
    if (this.#child.stdout === null) throw new Error("a child without standard output")
    createInterface(this.#child.stdout).on("line", (line) => {
      const resolve = this.#waiting.shift()
      if (resolve === undefined) this.#answers.push(line)
      else resolve(line)
    })
    this.#child.on("exit", () => this.#waiting.splice(0).forEach((resolve) => resolve("exited")))
  }

  /** Sends a line and waits for the answer to it. */
  ask(...words: ReadonlyArray<string>): Effect.Effect<string> {
    return Effect.promise(() => {
      this.#child.stdin?.write(`${words.join("\t")}\n`)
      return this.next()
    })
  }

  next(): Promise<string> {
    const answer = this.#answers.shift()
    if (answer !== undefined) return Promise.resolve(answer)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Ends the process without giving it a chance to clean up, and waits until it is gone. */
  get kill(): Effect.Effect<void> {
    return Effect.promise(
      () =>
        new Promise<void>((resolve) => {
          if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve()
          this.#child.on("exit", () => resolve())
          this.#child.kill("SIGKILL")
        })
    )
  }
}

const start = (
  command: string,
  parameters: ReadonlyArray<string>
): Effect.Effect<LockProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = new LockProcess(command, parameters)
      await child.next()
      return child
    }),
    (child) => child.kill
  )

/** A second process of our own, on the datastore or folder. */
export const startOurs = (base: string): Effect.Effect<LockProcess, never, Scope.Scope> =>
  start(process.execPath, [join(import.meta.dirname, "lockProgram.ts"), base])

/** Locks whole files as Proxmox Backup Server does: POSIX record locks that belong to the process. */
const foreignProgram = `
import fcntl, sys
files = {}
print("ready", flush=True)
for line in sys.stdin:
    mode, path = line.rstrip("\\n").split("\\t")
    file = files.setdefault(path, None) or open(path, "r+")
    files[path] = file
    try:
        flag = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX, "free": fcntl.LOCK_UN}[mode]
        fcntl.lockf(file, flag if mode == "free" else flag | fcntl.LOCK_NB)
        print("yes", flush=True)
    except OSError:
        print("no", flush=True)
`

export const hasForeign = spawnSync("python3", ["-c", "import fcntl"]).status === 0

export const startForeign: Effect.Effect<LockProcess, never, Scope.Scope> = start("python3", [
  "-c",
  foreignProgram
])
