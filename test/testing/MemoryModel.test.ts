/**
 * MemoryFiles and NodeFiles, asked the same things in the same order, answer the same: results, reasons of failures, and
 * what lies there in the end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import type { Files, FilesError } from "../../src/platform/Files.ts"
import * as FilesPort from "../../src/platform/Files.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFiles from "../../src/testing/MemoryFiles.ts"
import { scratchFolder } from "../platform/scratch.ts"

type Service = Files["Service"]
type Command = (files: Service, folder: string) => Effect.Effect<unknown, FilesError>

interface NamedCommand {
  readonly name: string
  readonly run: Command
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

/** Few names, so that they meet; some below a name that may be a file. */
const path = fc.constantFrom("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "a/x")
const content = fc.string({ maxLength: 6 })
const isFlushed = fc.boolean()

const named = (name: string, run: Command): NamedCommand => ({ name, run })

const statOf = (files: Service, target: string) =>
  Effect.map(files.stat(target), ({ kind, mode, sizeBytes }) => [
    kind,
    mode,
    kind === "directory" ? "any size" : sizeBytes
  ])

const command: fc.Arbitrary<NamedCommand> = fc.oneof(
  fc
    .tuple(path, content, isFlushed)
    .map(([name, text, sync]) =>
      named(`create ${name} ${text}`, (files, folder) =>
        files.createFile(`${folder}/${name}`, bytesOf(text), { sync, mode: 0o640 })
      )
    ),
  fc
    .tuple(path, content, isFlushed)
    .map(([name, text, sync]) =>
      named(`replace ${name} ${text}`, (files, folder) =>
        files.replaceFile(`${folder}/${name}`, [bytesOf(text), bytesOf("!")], { sync })
      )
    ),
  path.map((name) =>
    named(`make ${name}`, (files, folder) => files.makeDirectory(`${folder}/${name}`, 0o750))
  ),
  path.map((name) =>
    named(`make in ${name}`, (files, folder) => files.makeDirectories(`${folder}/${name}`, ["e", "b"], 0o700))
  ),
  fc
    .tuple(path, path)
    .map(([from, to]) =>
      named(`rename ${from} ${to}`, (files, folder) => files.rename(`${folder}/${from}`, `${folder}/${to}`))
    ),
  path.map((name) => named(`unlink ${name}`, (files, folder) => files.unlink(`${folder}/${name}`))),
  path.map((name) => named(`remove ${name}`, (files, folder) => files.removeDirectory(`${folder}/${name}`))),
  path.map((name) => named(`touch ${name}`, (files, folder) => files.touch(`${folder}/${name}`))),
  path.map((name) =>
    named(`read ${name}`, (files, folder) =>
      Effect.map(files.readFile(`${folder}/${name}`, 4096), (bytes) => Buffer.from(bytes).toString())
    )
  ),
  path.map((name) => named(`stat ${name}`, (files, folder) => statOf(files, `${folder}/${name}`))),
  path.map((name) => named(`flush ${name}`, (files, folder) => files.syncDirectory(`${folder}/${name}`)))
)

const outcomeOf = (folder: string, effect: Effect.Effect<unknown, FilesError>) =>
  Effect.match(effect, {
    onFailure: ({ operation, path: target, reason, code }) => [
      operation,
      target.slice(folder.length),
      reason,
      code
    ],
    onSuccess: (value) => value
  })

/** All that lies there, from both kinds of listing. */
const treeOf = (files: Service, folder: string): Effect.Effect<unknown, FilesError> =>
  Effect.gen(function* () {
    const entries = (yield* files.readDirectory(folder)).toSorted((left, right) =>
      left.name < right.name ? -1 : 1
    )
    const children = yield* files.statDirectory(folder)
    assert.sameMembers(
      children.map(({ name }) => name),
      entries.map(({ name }) => name)
    )
    return yield* Effect.forEach(entries, ({ name, kind }) =>
      Effect.map(
        kind === "directory"
          ? treeOf(files, `${folder}/${name}`)
          : Effect.map(files.readFile(`${folder}/${name}`, 99), (bytes) => Buffer.from(bytes).toString()),
        (inner) => [name, kind, inner]
      )
    )
  })

const play = (files: Service, folder: string, commands: ReadonlyArray<NamedCommand>) =>
  Effect.gen(function* () {
    const outcomes: Array<unknown> = []
    for (const { name, run } of commands) {
      outcomes.push([name, yield* outcomeOf(folder, run(files, folder))])
    }
    return [...outcomes, yield* treeOf(files, folder)]
  })

const onNode = (commands: ReadonlyArray<NamedCommand>) =>
  Effect.gen(function* () {
    return yield* play(yield* FilesPort.Files, yield* scratchFolder, commands)
  }).pipe(Effect.scoped, Effect.provide(NodeFiles.layer))

const onMemory = (commands: ReadonlyArray<NamedCommand>, options: MemoryFiles.MemoryFilesOptions) =>
  Effect.suspend(() => {
    const disk = new MemoryDisk()
    disk.makeDirectory("/folder", 0o700, 0)
    return play(MemoryFiles.make(disk, options), "/folder", commands)
  })

describe("MemoryFiles beside NodeFiles", () => {
  it("answer the same", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        const expected = await Effect.runPromise(onNode(commands))
        assert.deepStrictEqual(Effect.runSync(onMemory(commands, {})), expected)
        assert.deepStrictEqual(Effect.runSync(onMemory(commands, { point: () => Effect.void })), expected)
      }),
      { numRuns: 300 }
    )
  })

  it("refuse in the same words that something takes the place of a folder above it", async () => {
    const above: ReadonlyArray<NamedCommand> = [
      named("make", (files, folder) => files.makeDirectories(folder, ["a", "a/b", "a/b/c"], 0o700)),
      named("create", (files, folder) => files.createFile(`${folder}/a/b/x`, bytesOf("x"))),
      named("file to its folder", (files, folder) => files.rename(`${folder}/a/b/x`, `${folder}/a/b`)),
      named("file to one further up", (files, folder) => files.rename(`${folder}/a/b/x`, `${folder}/a`)),
      named("folder to its folder", (files, folder) => files.rename(`${folder}/a/b/c`, `${folder}/a/b`)),
      named("folder below itself", (files, folder) => files.rename(`${folder}/a`, `${folder}/a/b/c`))
    ]
    const expected = await Effect.runPromise(onNode(above))
    assert.deepStrictEqual(Effect.runSync(onMemory(above, {})), expected)
    assert.include(JSON.stringify(expected), "ENOTEMPTY")
  })
})
