/**
 * A program that works on files where a test cannot: on a mount of its own, or under another umask. It prints what came
 * of it as JSON.
 */
import * as Effect from "effect/Effect"
import { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import { Files, type FilesError } from "../../src/platform/Files.ts"
import * as NodeChunkCodec from "../../src/platform/NodeChunkCodec.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"

const outcome = <A>(effect: Effect.Effect<A, FilesError>): Effect.Effect<string> =>
  Effect.match(effect, { onFailure: ({ reason }) => reason, onSuccess: () => "success" })

const tooMuch = new Uint8Array(1024 * 1024)

const fill = (files: Files["Service"], folder: string) =>
  Effect.gen(function* () {
    yield* files.createFile(`${folder}/small`, Buffer.from("old"))
    const create = yield* outcome(files.createFile(`${folder}/large`, tooMuch))
    const replace = yield* outcome(files.replaceFile(`${folder}/small`, [tooMuch]))
    const left = (yield* files.readDirectory(folder)).map(({ name }) => name)
    return {
      create,
      replace,
      left,
      content: Buffer.from(yield* files.readFile(`${folder}/small`, 9)).toString()
    }
  })

const change = (files: Files["Service"], folder: string) =>
  Effect.gen(function* () {
    const path = `${folder}/file`
    const reasons = yield* Effect.all({
      create: outcome(files.createFile(`${folder}/new`, new Uint8Array(1))),
      replace: outcome(files.replaceFile(path, [new Uint8Array(1)])),
      touch: outcome(files.touch(path)),
      unlink: outcome(files.unlink(path)),
      rename: outcome(files.rename(path, `${folder}/other`)),
      makeDirectory: outcome(files.makeDirectory(`${folder}/directory`)),
      makeDirectories: outcome(files.makeDirectories(folder, ["directory"], 0o750)),
      makeExact: outcome(files.makeDirectory(`${folder}/directory`, 0o755))
    })
    return { reasons, content: Buffer.from(yield* files.readFile(path, 9)).toString() }
  })

const modes = (files: Files["Service"], folder: string) =>
  Effect.gen(function* () {
    const modeOf = (name: string) =>
      Effect.map(files.stat(`${folder}/${name}`), ({ mode }) => (mode & 0o777).toString(8))
    yield* files.createFile(`${folder}/created`, new Uint8Array(0))
    yield* files.replaceFile(`${folder}/replaced`, [])
    yield* files.makeDirectory(`${folder}/folder`, 0o755)
    yield* files.makeDirectories(folder, ["folders"], 0o750)
    yield* files.makeDirectory(`${folder}/usual`)
    return yield* Effect.all({
      created: modeOf("created"),
      replaced: modeOf("replaced"),
      folder: modeOf("folder"),
      folders: modeOf("folders"),
      usualFolder: modeOf("usual")
    })
  })

const stage = (files: Files["Service"], folder: string) =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    const request = { data: tooMuch, compress: false, crypt: undefined, sync: false }
    const reason = yield* outcome(codec.stage({ ...request, temporaryPath: `${folder}/chunk` }))
    return { reason, left: yield* files.readDirectory(folder) }
  }).pipe(Effect.provide(NodeChunkCodec.layer({ threads: 1 })))

const works = { fill, change, modes, stage }

const [work = "", folder = ""] = process.argv.slice(2)

if (work === "fill" || work === "change" || work === "modes" || work === "stage") {
  const result = await Effect.runPromise(
    Effect.provide(
      Effect.flatMap(Files, (files): Effect.Effect<unknown, FilesError> => works[work](files, folder)),
      NodeFiles.layer
    )
  )
  process.stdout.write(JSON.stringify(result))
}
