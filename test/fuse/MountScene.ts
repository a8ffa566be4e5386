/**
 * A mount of the fixture tree that nobody else sees: its driver runs in a process with mounts of its own, and whatever
 * looks at it is sent there. When the process ends, however that happens, its mounts are gone.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { mayMount } from "../platform/mounts.ts"
import type { Counts } from "./fixtureTree.ts"

/** Why nothing can be mounted here; undefined when it can. */
export const noMounts: string | undefined = (() => {
  if (process.platform !== "linux") return "it needs Linux"
  if (process.getuid?.() !== 0) return "it needs root"
  if (!existsSync("/dev/fuse")) return "there is no /dev/fuse"
  return mayMount ? undefined : "mounts of one's own are not allowed here"
})()

const deadlineSeconds = "60"
const probeDeadlineSeconds = "600"

const nodeOptions = ["--conditions=development", "--disable-warning=ExperimentalWarning"]

/** A process that is asked line by line. */
class Conversation {
  readonly child: ChildProcess
  /** What it has written to standard error. */
  log = ""
  readonly #answers: Array<string> = []
  readonly #waiting: Array<(answer: string) => void> = []

  constructor(command: string, parameters: ReadonlyArray<string>) {
    this.child = spawn(command, parameters, { stdio: ["pipe", "pipe", "pipe"] })
    if (this.child.stdout === null) throw new Error("a child without standard output")
    this.child.stderr?.on("data", (piece: Buffer) => {
      this.log += piece.toString()
    })
    createInterface(this.child.stdout).on("line", (line) => {
      const resolve = this.#waiting.shift()
      if (resolve === undefined) this.#answers.push(line)
      else resolve(line)
    })
    this.child.on("close", () => {
      for (const resolve of this.#waiting.splice(0)) resolve(`ended: ${this.log}`)
    })
    this.child.stdin?.on("error", () => undefined)
  }

  ask(line: string): Promise<string> {
    this.child.stdin?.write(`${line}\n`)
    return this.next()
  }

  next(): Promise<string> {
    const answer = this.#answers.shift()
    if (answer !== undefined) return Promise.resolve(answer)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  kill(): void {
    this.child.kill("SIGKILL")
  }
}

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly output: string
}

export class MountScene {
  readonly mountpoint: string
  readonly driver: Conversation
  readonly probe: Conversation

  constructor(mountpoint: string, driver: Conversation, probe: Conversation) {
    this.mountpoint = mountpoint
    this.driver = driver
    this.probe = probe
  }

  /** The command and its parameters, to be run where the mount is seen, with a hard limit. */
  inside(...command: ReadonlyArray<string>): ReadonlyArray<string> {
    return insideOf(this.driver, deadlineSeconds, ...command)
  }

  /** Starts a program on the mount. */
  start(...command: ReadonlyArray<string>): ChildProcess {
    return spawn("nsenter", this.inside(...command), { stdio: ["ignore", "ignore", "ignore"] })
  }

  /** Runs a program on the mount to its end. */
  run(...command: ReadonlyArray<string>): Ended {
    const { signal, status, stderr, stdout } = spawnSync("nsenter", this.inside(...command), {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024
    })
    return { code: status, signal, output: stdout + stderr }
  }

  /** Of the process that looks, below what limits its time. */
  get probePid(): number {
    const pid = this.probe.child.pid ?? 0
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim())
  }

  path(name: string | Uint8Array): string {
    const bytes = typeof name === "string" ? Buffer.from(name) : name
    return Buffer.concat([Buffer.from(`${this.mountpoint}/`), bytes]).toString("base64")
  }

  /** What a look at a file gives, or the error's code as `code`. */
  async look(name: string | Uint8Array, request: Readonly<Record<string, unknown>>) {
    const line = JSON.stringify({ path: this.path(name), ...request })
    const answer = await this.probe.ask(line)
    return JSON.parse(answer) as { readonly value?: unknown; readonly code?: string }
  }

  async counts(): Promise<Counts> {
    return JSON.parse(await this.driver.ask("counts")) as Counts
  }
}

const insideOf = (
  { child }: Conversation,
  limitSeconds: string,
  ...command: ReadonlyArray<string>
): ReadonlyArray<string> => [
  "-t",
  String(child.pid),
  "-m",
  "--",
  "timeout",
  "-s",
  "KILL",
  limitSeconds,
  ...command
]

const program = (name: string): string => path.join(import.meta.dirname, name)

interface ProgramToMount {
  /** In this folder; it is given the mountpoint and says `ready`. */
  readonly program: string
  readonly parameters?: ReadonlyArray<string>
  /** A shell script that is run before, where the mounts are. */
  readonly prepare?: string
}

/** Lets a program mount something. */
export const openProgramScene = async ({
  parameters = [],
  prepare = "",
  program: name
}: ProgramToMount): Promise<MountScene> => {
  const mountpoint = path.join(mkdtempSync(path.join(tmpdir(), "granary-fuse-")), "mount point")
  mkdirSync(mountpoint)
  const node = [process.execPath, ...nodeOptions]
  const ownMounts = ["-m", "--propagation", "private", "--"]
  const shell = ["sh", "-ec", `${prepare}\nexec "$@"`, "sh"]
  const command = [...node, program(name), mountpoint, ...parameters]
  const driver = new Conversation("unshare", [...ownMounts, ...shell, ...command])
  const first = await driver.next()
  if (first !== "ready") throw new Error(`the driver did not start: ${first} ${driver.log}`)
  const probe = new Conversation("nsenter", [
    ...insideOf(driver, probeDeadlineSeconds, ...node, program("probeProgram.ts"))
  ])
  await probe.next()
  return new MountScene(mountpoint, driver, probe)
}

/** Mounts with the driver of that name, as `memoryProgram.ts` knows it. */
export const openScene = (driverName: string): Promise<MountScene> =>
  openProgramScene({ program: "memoryProgram.ts", parameters: [driverName] })

/** Ends everything, at once. */
export const closeScene = ({ driver, mountpoint, probe }: MountScene): void => {
  probe.kill()
  driver.kill()
  rmSync(path.dirname(mountpoint), { recursive: true, force: true })
}
