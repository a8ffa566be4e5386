/**
 * ChunkCodec over worker threads. Jobs are uninterruptible: a fiber must not hand its memory to somebody else while a
 * thread still works on it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import type { CryptConfig } from "../format/CryptConfig.ts"
import type { Digest } from "../model/Digest.ts"
import { ChunkCodec, ChunkError, type Encoded, intoTarget } from "./ChunkCodec.ts"
import type { Verdict } from "./chunkContent.ts"
import type { EncodedBlob, Loaded } from "./chunkTasks.ts"
import { ChunkWorkers, isShared, type Result, type Task, usualThreads } from "./ChunkWorkers.ts"
import { FilesError } from "./Files.ts"

const failureOf = (
  result: Extract<Result, { kind: "failed" }>,
  path: string
): Effect.Effect<never, FilesError> => {
  const { operation, reason, code, defect } = result
  return defect === undefined
    ? Effect.fail(new FilesError({ operation, path, reason, ...(code === undefined ? {} : { code }) }))
    : Effect.die(new Error(defect))
}

export interface CodecOptions {
  /** As many as there are processors by default, 8 at most. */
  readonly threads?: number
  /** Start the threads with the layer and not with the first job: for who will certainly have jobs for all of them. */
  readonly startsEarly?: boolean
}

export const layer = (options?: CodecOptions): Layer.Layer<ChunkCodec> =>
  Layer.effect(
    ChunkCodec,
    Effect.gen(function* () {
      const threads = options?.threads ?? usualThreads()
      const workers = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const pool = new ChunkWorkers(threads)
          if (options?.startsEarly === true) pool.start()
          return pool
        }),
        (pool) => Effect.promise(() => pool.close())
      )
      const run = (task: Task, crypt: CryptConfig | undefined): Effect.Effect<Result> =>
        Effect.uninterruptible(Effect.promise(() => workers.run(task, crypt?.encKey)))

      return ChunkCodec.of({
        parallelism: threads,
        digest: (data, crypt) =>
          Effect.flatMap(run({ kind: "digest", request: { data } }, crypt), (result) =>
            result.kind === "digested"
              ? Effect.succeed(result.value)
              : Effect.orDie(unexpected(result, "a chunk"))
          ),
        stage: ({ crypt, ...request }) =>
          Effect.flatMap(run({ kind: "stage", request }, crypt), (result) =>
            result.kind === "staged"
              ? Effect.succeed(result.value)
              : unexpected(result, request.temporaryPath)
          ),
        load: ({ crypt, target, ...request }) => {
          const direct = target !== undefined && isShared(target) ? { target } : {}
          return Effect.flatMap(run({ kind: "load", request: { ...request, ...direct } }, crypt), (result) =>
            result.kind === "loaded"
              ? received(result.value, request.digest, target)
              : loadFailure(result, request)
          )
        },
        check: ({ crypt, ...request }) =>
          Effect.flatMap(run({ kind: "check", request }, crypt), (result) =>
            result.kind === "checked"
              ? Effect.succeed(result.value)
              : Effect.orDie(unexpected(result, request.path))
          ),
        receive: (request) =>
          writeInFolder(run, request.temporaryPath, {
            kind: "receive",
            request: { ...request, consumes: true }
          }),
        copy: (request) => writeInFolder(run, request.temporaryPath, { kind: "copy", request }),
        ...inMemory(run)
      })
    })
  )

/** Whether there is a place for the file is seen before anything is given away or read for it. */
const writeInFolder = (
  run: (task: Task, crypt: CryptConfig | undefined) => Effect.Effect<Result>,
  temporaryPath: string,
  task: Extract<Task, { kind: "receive" | "copy" }>
): Effect.Effect<Verdict, FilesError> =>
  Effect.suspend(() => {
    if (!existsSync(dirname(temporaryPath))) {
      return Effect.fail(new FilesError({ operation: "write", path: temporaryPath, reason: "NotFound" }))
    }
    return Effect.flatMap(run(task, undefined), (result) =>
      result.kind === "received" ? Effect.succeed(result.value) : unexpected(result, temporaryPath)
    )
  })

/** The jobs that touch no file: whatever fails in them is a fault of the program. */
const inMemory = (
  run: (task: Task, crypt: CryptConfig | undefined) => Effect.Effect<Result>
): Pick<ChunkCodec["Service"], "encode" | "decode" | "judge"> => ({
  encode: ({ crypt, room, ...request }) => {
    const direct = room !== undefined && isShared(room) ? { room } : {}
    return Effect.flatMap(run({ kind: "encode", request: { ...request, ...direct } }, crypt), (result) =>
      result.kind === "encoded"
        ? Effect.succeed(placed(result.value, room))
        : Effect.orDie(unexpected(result, "a chunk"))
    )
  },
  decode: (blob, { crypt, target, ...request }) => {
    const direct = target !== undefined && isShared(target) ? { target } : {}
    return Effect.flatMap(
      run({ kind: "decode", request: { ...request, ...direct, blob } }, crypt),
      (result) =>
        result.kind === "loaded"
          ? received(result.value, request.digest, target)
          : Effect.orDie(unexpected(result, "a chunk"))
    )
  },
  judge: (blob, { crypt, ...request }) =>
    Effect.flatMap(run({ kind: "judge", request: { ...request, blob } }, crypt), (result) =>
      result.kind === "checked" ? Effect.succeed(result.value) : Effect.orDie(unexpected(result, "a chunk"))
    )
})

/** Where the thread could not put it there itself, it is copied. */
const placed = ({ blob, kind, lengthBytes }: EncodedBlob, room: Uint8Array | undefined): Encoded => {
  if (blob !== undefined && room !== undefined) room.set(blob)
  return { blob: room?.subarray(0, lengthBytes) ?? blob ?? new Uint8Array(0), kind }
}

const received = (
  value: Loaded,
  digest: Digest,
  target: Uint8Array | undefined
): Effect.Effect<Uint8Array, ChunkError> => {
  if ("unusable" in value) return Effect.fail(new ChunkError({ digest, ...value.unusable }))
  if ("length" in value) return Effect.succeed((target ?? new Uint8Array(0)).subarray(0, value.length))
  return target === undefined ? Effect.succeed(value.data) : intoTarget(value.data, target, digest)
}

const unexpected = (result: Result, path: string): Effect.Effect<never, FilesError> =>
  result.kind === "failed" ? failureOf(result, path) : Effect.die(new Error(`worker answered ${result.kind}`))

const loadFailure = (
  result: Result,
  request: { readonly path: string; readonly digest: ChunkError["digest"] }
): Effect.Effect<never, FilesError | ChunkError> =>
  result.kind === "failed" && result.reason === "NotFound" && result.defect === undefined
    ? Effect.fail(new ChunkError({ digest: request.digest, reason: "Missing", detail: "" }))
    : unexpected(result, request.path)
