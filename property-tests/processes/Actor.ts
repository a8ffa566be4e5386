/**
 * Actor: one process of the command line in a round: what it is to do, when it starts, whether and when it is killed;
 * and how it ended, judged by what the command line promises.
 */
import { spawn } from "node:child_process"
import { setTimeout as pause } from "node:timers/promises"
import { storeError } from "../../src/store/StoreError.ts"

export type ActorKind = "backup" | "gc" | "prune" | "forget" | "verify" | "restore" | "refresh"

export interface Actor {
  readonly kind: ActorKind
  readonly parameters: ReadonlyArray<string>
  /** The group or snapshot it is about, where it is about one. */
  readonly subject: string | undefined
  readonly delayMillis: number
  readonly killAfterMillis: number | undefined
}

export interface Ended {
  readonly actor: Actor
  /** Null when it was killed. */
  readonly code: number | null
  readonly wasKilled: boolean
  readonly standardOutput: string
  readonly standardError: string
  readonly durationMillis: number
}

/** How the program is called. */
export interface Program {
  readonly file: string
  readonly store: string
  /** Given to every command. */
  readonly parameters?: ReadonlyArray<string>
  /** Whether a command may warn (exit 3) although nobody disturbs it. Default false. */
  readonly mayWarn?: boolean
}

const textOf = (stream: NodeJS.ReadableStream): (() => string) => {
  let text = ""
  stream.setEncoding("utf8")
  stream.on("data", (part: string) => (text += part))
  return () => text
}

export const run = async (program: Program, actor: Actor): Promise<Ended> => {
  await pause(actor.delayMillis)
  const startedMillis = performance.now()
  const parameters = [...actor.parameters, ...(program.parameters ?? [])]
  const child = spawn(process.execPath, [program.file, ...parameters, "--output", "json"], {
    env: { ...process.env, GRANARY_REPOSITORY: program.store },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const [standardOutput, standardError] = [textOf(child.stdout), textOf(child.stderr)]
  const { killAfterMillis } = actor
  const timer =
    killAfterMillis === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMillis)
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once("error", reject)
  child.once("close", resolve)
  const code = await promise
  clearTimeout(timer)
  return {
    actor,
    code,
    wasKilled: child.signalCode === "SIGKILL",
    standardOutput: standardOutput(),
    standardError: standardError(),
    durationMillis: Math.round(performance.now() - startedMillis)
  }
}

export interface ToldError {
  readonly tag: string
  readonly message: string
  readonly hint: string
}

const parseLine = (line: string): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}

const linesOf = ({ standardError }: Ended): ReadonlyArray<string> =>
  standardError.split("\n").filter((line) => line !== "")

/** What the process told as JSON lines. */
export const toldLines = (ended: Ended) => linesOf(ended).map(parseLine)

/** Anything else than JSON lines is a crash. */
const isOrderly = (ended: Ended): boolean => toldLines(ended).every((line) => Object.keys(line).length > 0)

export const toldError = (ended: Ended): ToldError | undefined =>
  toldLines(ended)
    .map(({ error }) => error as ToldError | undefined)
    .find((error) => error !== undefined)

const hintOf = (reason: Parameters<typeof storeError>[0]): string => storeError(reason, "", "").hint

/** Somebody else is at work, or has removed what the command is about: to be expected among many. */
const innocentHints: ReadonlySet<string> = new Set([
  hintOf("Busy"),
  hintOf("NoSuchGroup"),
  hintOf("NoSuchSnapshot")
])

interface Outcome {
  readonly removed: boolean
  readonly error?: string
}

/** A group of which some snapshots were in use: `forget` lists why each of them stayed. */
const hasKeptWhatIsUsed = ({ actor, standardOutput }: Ended): boolean =>
  actor.kind === "forget" &&
  (JSON.parse(standardOutput || "[]") as ReadonlyArray<Outcome>).every(
    ({ error, removed }) => removed || error?.includes("another operation is working on it") === true
  )

/** What became of it, in one word; undefined when it broke a promise. */
export const verdictOf = (ended: Ended): "done" | "warned" | "refused" | "killed" | undefined => {
  if (ended.wasKilled) return "killed"
  if (!isOrderly(ended)) return undefined
  if (ended.code === 0) return "done"
  if (ended.code === 3) return "warned"
  const error = toldError(ended)
  const isInnocent =
    error?.tag === "CommandFailed"
      ? hasKeptWhatIsUsed(ended)
      : error?.tag === "StoreError" && innocentHints.has(error.hint)
  return ended.code === 1 && isInnocent ? "refused" : undefined
}

/** One line for the log of a round. */
export const describe = (ended: Ended): string => {
  const { actor, code, durationMillis } = ended
  const end = ended.wasKilled ? "killed" : `exit ${code}`
  const kill = actor.killAfterMillis === undefined ? "" : `, to be killed after ${actor.killAfterMillis} ms`
  const told = linesOf(ended).filter((line) => parseLine(line)["type"] !== "progress")
  const command = `+${actor.delayMillis} ms${kill}: granary ${actor.parameters.join(" ")}`
  return [`${command}: ${end} after ${durationMillis} ms`, ...told].join("\n        ")
}
