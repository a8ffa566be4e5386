/**
 * Stores that fail and lie: at every single call of a sync the source, in turn, answers an error, or bytes that are
 * not what was asked for; and every single call of the target's machine fails. What the target had stays, what it
 * lists is whole, nothing breaks down, and the next sync, with both ends honest again, ends with all that it promises.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import { type Files, FilesError, type FilesReason } from "../../src/platform/Files.ts"
import { type SyncReason, syncError } from "../../src/sync/SyncError.ts"
import type { SourceSnapshot, SyncSource } from "../../src/sync/SyncSource.ts"
import { run } from "../../src/testing.ts"
import { endWith } from "../interleavings/harness/sync/syncActors.ts"
import type { SyncInput } from "../interleavings/harness/sync/SyncBetween.ts"
import { lacking, SyncWorld } from "../interleavings/harness/sync/SyncWorld.ts"
import { textBelow } from "../interleavings/harness/knowing.ts"
import type { Mutation } from "../interleavings/harness/Mutation.ts"
import { noCalls } from "../interleavings/harness/points.ts"
import { startMillis } from "../interleavings/harness/World.ts"

const contents = ["base", "old", "new", "other", "gone"]
const other = BackupGroup.make("host", "b")
const vanished = BackupGroup.make("host", "c")
const old = { number: 0, contents: ["base", "old"] }

const disks = {
  source: endWith({
    contents,
    snapshots: [
      old,
      { number: 1, contents: ["base", "new"] },
      { number: 2, contents: ["new", "other"] },
      { number: 0, contents: ["other", "base"], group: other }
    ]
  }),
  target: endWith({
    contents,
    snapshots: [{ number: -1, contents: ["gone"] }, old, { number: 0, contents: ["gone"], group: vanished }]
  })
}

const isFull = process.env["GRANARY_EXPLORE"] === "full"

const anyReason: ReadonlyArray<SyncReason> = [
  "Missing",
  "Corrupt",
  "Busy",
  "Throttled",
  "Unavailable",
  "Full",
  "ReadOnly",
  "Refused",
  "Failed",
  "Conflict"
]

const options = { removeVanished: true }

interface Outcome {
  readonly world: SyncWorld
  /** What is wrong. */
  readonly wrong: string | undefined
}

/** One sync by itself, which may end as it likes, but not break down, and not break an invariant. */
const syncOnce = (world: SyncWorld, input: SyncInput): Outcome => {
  const program = world.sync("sync", { options, ...input })
  const { outcome } = run({ program, invariant: () => world.complaint() }, {}, { startMillis })
  if (outcome._tag !== "Done") return { world, wrong: JSON.stringify(outcome) }
  const isBroken =
    Exit.isFailure(outcome.exit) && outcome.exit.cause.reasons.some(({ _tag }) => _tag !== "Fail")
  return { world, wrong: isBroken ? String(outcome.exit) : world.complaint() }
}

const worldOn = (ends: typeof disks, mutation: Mutation = {}): SyncWorld =>
  new SyncWorld(ends, { mutation, removes: true, points: { source: noCalls, target: noCalls } })

const fork = (): typeof disks => ({ source: disks.source.fork(), target: disks.target.fork() })

const judged = new Map<string, string | undefined>()

/** Both ends are honest again; what was left is often the same. */
const honestly = (ends: typeof disks): string | undefined => {
  const left = textBelow(ends.target, "/store")
  if (!judged.has(left)) judged.set(left, judge(ends))
  return judged.get(left)
}

const judge = (ends: typeof disks): string | undefined => {
  const { world, wrong } = syncOnce(worldOn(ends), {})
  if (wrong !== undefined) return `the next sync: ${wrong}`
  const extra = world.target.view.snapshots.filter(
    ({ path }) => path.includes("host/c") || path.includes("12-28")
  )
  return lacking(world) ?? (extra.length === 0 ? undefined : `${extra[0]?.path} has vanished, and is there`)
}

type Call = "list" | "open" | "manifest" | "file" | "chunk"

type Lie =
  | { readonly kind: "error"; readonly reason: SyncReason; readonly lasts: boolean }
  | {
      readonly kind: "bytes"
      readonly name: string
      readonly change: (bytes: Uint8Array, others: ReadonlyArray<Uint8Array>) => Uint8Array
    }

const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}

const errors: ReadonlyArray<Lie> = [
  { kind: "error", reason: "Missing", lasts: false },
  { kind: "error", reason: "Failed", lasts: false },
  { kind: "error", reason: "Unavailable", lasts: false },
  { kind: "error", reason: "Unavailable", lasts: true }
]

const bytes: ReadonlyArray<Lie> = [
  { kind: "bytes", name: "nothing", change: () => new Uint8Array(0) },
  { kind: "bytes", name: "half of it", change: (whole) => whole.slice(0, Math.floor(whole.length / 2)) },
  { kind: "bytes", name: "another last byte", change: (whole) => flipped(whole, whole.length - 1) },
  { kind: "bytes", name: "another first byte", change: (whole) => flipped(whole, 0) },
  { kind: "bytes", name: "a byte too much", change: (whole) => Uint8Array.from([...whole, 0]) },
  {
    kind: "bytes",
    name: "something else",
    change: (whole, others) => others.find((one) => !Buffer.from(one).equals(whole)) ?? whole
  }
]

const liesFor = (call: Call): ReadonlyArray<Lie> =>
  call === "list" || call === "open" ? errors : [...errors.slice(-1), ...errors.slice(0, 1), ...bytes]

/** A source that tells the truth but at one of its calls, or from there on. */
const liar = (at: number, lie: Lie, calls: Array<Call>) => {
  const answered: Partial<Record<Call, Array<Uint8Array>>> = {}
  let count = 0
  const failing = <A>(
    call: Call,
    truth: Effect.Effect<A, ReturnType<typeof syncError>>,
    changed: (answer: A) => A
  ) =>
    Effect.suspend(() => {
      const number = count++
      calls.push(call)
      if (lie.kind === "error") {
        const isNow = lie.lasts ? number >= at : number === at
        return isNow ? Effect.fail(syncError(lie.reason, "it lies")) : truth
      }
      return number === at ? Effect.map(truth, changed) : truth
    })
  const listed = <A>(truth: Effect.Effect<A, ReturnType<typeof syncError>>) =>
    failing("list", truth, (answer) => answer)
  const told = (call: Call, truth: Effect.Effect<Uint8Array, ReturnType<typeof syncError>>) =>
    Effect.tap(
      failing(call, truth, (answer) =>
        lie.kind === "bytes" ? lie.change(answer, Object.values(answered).flat()) : answer
      ),
      (answer) => Effect.sync(() => (answered[call] ??= []).push(Uint8Array.from(answer)))
    )
  return (source: SyncSource["Service"]): SyncSource["Service"] => ({
    ...source,
    namespaces: (start, depthMax) => listed(source.namespaces(start, depthMax)),
    groups: (namespace) => listed(source.groups(namespace)),
    snapshots: (namespace, group, listing) => listed(source.snapshots(namespace, group, listing)),
    openSnapshot: (namespace, snapshot) =>
      Effect.gen(function* () {
        yield* failing("open", Effect.void, () => undefined)
        const opened = yield* source.openSnapshot(namespace, snapshot)
        const lying: SourceSnapshot = {
          ...opened,
          manifest: told("manifest", opened.manifest),
          file: (archive) => told("file", opened.file(archive)),
          chunk: (digest) => told("chunk", opened.chunk(digest))
        }
        return lying
      })
  })
}

const truth: Lie = { kind: "error", reason: "Failed", lasts: false }

/** A snapshot that is said to be gone is left out, and older ones are not looked at again. */
const hidesSnapshot = (call: Call, lie: Lie): boolean =>
  lie.kind === "error" && lie.reason === "Missing" && call !== "file" && call !== "chunk"

describe("a source", () => {
  it("that lies or fails at any call harms nothing, and is believed when it is honest again", () => {
    const calls: Array<Call> = []
    assert.isUndefined(syncOnce(worldOn(fork()), { around: liar(-1, truth, calls) }).wrong)
    assert.isAtLeast(calls.length, 15)
    for (const [at, call] of calls.entries()) {
      const lies = liesFor(call)
      // Everyday tests take some of them in turn.
      for (const lie of isFull ? lies : lies.filter((_, number) => number % 3 === at % 3)) {
        const ends = fork()
        const name = `call ${at}, ${call}: ${lie.kind === "error" ? `${lie.reason} ${lie.lasts}` : lie.name}`
        const input = { around: liar(at, lie, []), mayFail: anyReason }
        assert.isUndefined(syncOnce(worldOn(ends), input).wrong, name)
        if (!hidesSnapshot(call, lie)) assert.isUndefined(honestly(ends), name)
      }
    }
  })
})

const operations: ReadonlySet<string> = new Set([
  "stat",
  "statEach",
  "readFile",
  "readDirectory",
  "statDirectory",
  "openRead",
  "makeDirectory",
  "createFile",
  "replaceFile",
  "rename",
  "unlink",
  "removeDirectory",
  "touch",
  "syncFileSystem",
  "syncDirectory"
])

type Operation = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, FilesError>

/** Files of which one call fails; `seen` hears of all. */
const failingFiles = (
  files: Files["Service"],
  at: number,
  reason: FilesReason,
  seen: Array<string>
): Files["Service"] => {
  const wrapped = Object.entries(files).map(([name, operation]): readonly [string, unknown] => {
    if (!operations.has(name)) return [name, operation]
    const call = operation as unknown as Operation
    const counted: Operation = (...args) =>
      Effect.suspend(() => {
        const path = String(args[0])
        const isNow = seen.push(`${name} ${path}`) - 1 === at
        return isNow ? Effect.fail(new FilesError({ operation: name, path, reason })) : call(...args)
      })
    return [name, counted]
  })
  return Object.fromEntries(wrapped) as unknown as Files["Service"]
}

const onTarget = (ends: typeof disks, at: number, reason: FilesReason, seen: Array<string>): Mutation => ({
  files: (files, { disk }) => (disk === ends.target ? failingFiles(files, at, reason, seen) : files)
})

describe("a target", () => {
  it("whose machine fails at any call harms nothing, and the next sync goes on", () => {
    const seen: Array<string> = []
    const first = fork()
    assert.isUndefined(syncOnce(worldOn(first, onTarget(first, -1, "Io", seen)), {}).wrong)
    assert.isAtLeast(seen.length, 60)
    for (const [at, call] of seen.entries()) {
      if (!isFull && /^(?:stat|read|open)/.test(call) && at % 3 !== 0) continue
      const ends = fork()
      const reason = at % 2 === 0 ? "NoSpace" : "Io"
      const mutation = onTarget(ends, at, reason, [])
      const name = `${reason} at call ${at}: ${call}`
      assert.isUndefined(syncOnce(worldOn(ends, mutation), { mayFail: anyReason }).wrong, name)
      assert.isUndefined(honestly(ends), name)
    }
  })
})
