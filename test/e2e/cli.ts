/**
 * The program itself, run as its users run it: a process with arguments, an exit code and two outputs. And the folders
 * that tests of it work in.
 */
import { assert } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { emptyStore } from "../store/emptyStore.ts"
import { program } from "./programPath.ts"

const repositoryRoot = path.resolve(import.meta.dirname, "../..")

export const isRoot = process.getuid?.() === 0

export const fixtures = path.join(repositoryRoot, "../shared/fixtures")

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** What the program reads from its standard input; nothing by default. */
  readonly input?: Uint8Array | string
  /** A descriptor as its standard input instead. */
  readonly inputFd?: number
  /** Run as another user; root only. */
  readonly userId?: number
}

export interface Ended {
  readonly code: number | null
  readonly output: Buffer
  readonly text: string
  readonly errors: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

/** The program starts often here: what Node compiled once it need not compile again. */
const compileCache = path.join(repositoryRoot, "node_modules/.cache/granary-e2e")

/** Nobody's settings but the test's. */
const environmentOf = (options: RunOptions): NodeJS.ProcessEnv => {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("GRANARY_"))
  return {
    ...Object.fromEntries(inherited),
    NO_COLOR: "1",
    TZ: "UTC",
    NODE_COMPILE_CACHE: compileCache,
    ...options.environment
  }
}

/** Starts the program. Its standard input stays open until the caller ends it, unless `input` says what it is. */
export const start = (args: ReadonlyArray<string>, options: RunOptions = {}): Running => {
  const flags = ["--conditions=development", "--disable-warning=ExperimentalWarning"]
  const child = spawn(process.execPath, [...flags, program, ...args], {
    cwd: repositoryRoot,
    env: environmentOf(options),
    stdio: [options.inputFd ?? "pipe", "pipe", "pipe"],
    ...(options.userId === undefined ? {} : { uid: options.userId, gid: options.userId })
  })
  const output: Array<Buffer> = []
  const errors: Array<Buffer> = []
  child.stdout!.on("data", (piece: Buffer) => output.push(piece))
  child.stderr!.on("data", (piece: Buffer) => errors.push(piece))
  // A program that ends early does not read what it was given.
  child.stdin?.on("error", () => undefined)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => {
      const all = Buffer.concat(output)
      resolve({ code, output: all, text: all.toString(), errors: Buffer.concat(errors).toString() })
    })
  })
  return { child, ended }
}

export const granary = (args: ReadonlyArray<string>, options: RunOptions = {}): Promise<Ended> => {
  const running = start(args, options)
  running.child.stdin?.end(options.input)
  return running.ended
}

/** Runs it and insists on success. */
export const succeed = async (args: ReadonlyArray<string>, options: RunOptions = {}): Promise<Ended> => {
  const ended = await granary(args, options)
  assert.strictEqual(ended.code, 0, `granary ${args.join(" ")}: ${ended.errors}${ended.text}`)
  return ended
}

/** Runs it with `--output json` and answers the document. */
export const document = async <A = unknown>(
  args: ReadonlyArray<string>,
  options: RunOptions = {}
): Promise<A> => {
  const { text } = await succeed([...args, "--output", "json"], options)
  const parsed: A = JSON.parse(text)
  return parsed
}

const withoutWarnings = (errors: string): ReadonlyArray<string> =>
  errors.split("\n").filter((line) => line !== "" && !line.startsWith("warning: "))

/** The single line that says what went wrong, in the promised form. */
export const errorLine = ({ errors }: Ended): string => {
  const lines = withoutWarnings(errors)
  assert.strictEqual(lines.length, 1, `one line, not:\n${errors}`)
  assert.match(lines[0]!, /^error: .+ \(.+\)$/)
  return lines[0]!
}

/** It failed with this code, in one line that matches. */
export const assertFails = (ended: Ended, code: number, line: RegExp): void => {
  assert.match(errorLine(ended), line)
  assert.strictEqual(ended.code, code, ended.errors)
}

export interface Snapshot {
  readonly "backup-type": string
  readonly "backup-id": string
  readonly "backup-time": number
  readonly files: ReadonlyArray<{ readonly filename: string }>
  readonly verification?: { readonly state: string }
}

export const snapshotsIn = (store: string, group?: string): Promise<ReadonlyArray<Snapshot>> =>
  document(["snapshots", "-r", store, ...(group === undefined ? [] : [group])])

/** A folder that is gone when the test is over. */
export interface Folder {
  readonly path: string
  readonly remove: () => void
}

const makeFolder = (parent: string): Folder => {
  const made = mkdtempSync(path.join(parent, "granary-e2e-"))
  return { path: made, remove: () => void spawnSync("rm", ["-rf", made]) }
}

/** On a real file system: with attributes, holes and flags, of which some forbid to remove a file. */
export const workFolder = (): Folder => {
  const made = makeFolder(os.tmpdir())
  const remove = (): void => {
    spawnSync("chattr", ["-R", "-f", "-ia", made.path])
    made.remove()
  }
  return { path: made.path, remove }
}

/** In memory where there is such a place: a datastore has 65,536 folders, and tests make many of them. */
export const fastFolder = (): Folder => makeFolder(existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir())

export const makeStore = (parent: string, name = "store"): string => emptyStore(path.join(parent, name))

/** Everything in a datastore that a finished backup does not leave behind. */
export const temporaryFiles = (store: string): ReadonlyArray<string> =>
  readdirSync(store, { recursive: true, encoding: "utf8" }).filter((name) => name.includes(".tmp"))

/** Chunk files by their path, the largest first. */
export const chunkFiles = (store: string): ReadonlyArray<string> =>
  readdirSync(path.join(store, ".chunks"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\/[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(store, ".chunks", name))
    .toSorted((left, right) => statSync(right).size - statSync(left).size)

/** Waits until something is so; it is an error when it never is. */
export const until = async (what: string, isSo: () => boolean): Promise<void> => {
  for (let waited = 0; waited < 3000; waited++) {
    if (isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`waited in vain: ${what}`)
}

export const snapshotFolders = (store: string, group: string): ReadonlyArray<string> => {
  const folder = path.join(store, group)
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^\d{4}-/.test(name)) : []
}

export const isSame = (left: string, right: string): boolean => readFileSync(left).equals(readFileSync(right))

/** Gives a running program input; resolves when it has taken all but what fits into the pipe. */
export const feed = ({ child }: Running, input: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    child.stdin!.write(input, (error) => (error ? reject(error) : resolve()))
  })
