/**
 * FileTarget: a file, or a block device, that an image or a blob is restored to. Zeros become holes in a file. A file
 * that could not be completed is removed again; an existing one is only replaced when that was asked for.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { errnoOf, ExtractError, explainErrno, reasonOfErrno } from "./extract/ExtractError.ts"
import { FileWriter } from "./extract/FileWriter.ts"

export interface FileTarget {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ExtractError>
  readonly finish: Effect.Effect<void, ExtractError>
}

const failure = (path: string, error: unknown): ExtractError => {
  const code = errnoOf(error) ?? String(error)
  return new ExtractError({
    reason: reasonOfErrno(code) ?? "Target",
    subject: path,
    detail: explainErrno(code)
  })
}

const attempt = <A>(path: string, run: () => A): Effect.Effect<A, ExtractError> =>
  Effect.try({ try: run, catch: (error) => (error instanceof ExtractError ? error : failure(path, error)) })

interface Opened {
  readonly fd: number
  readonly isDevice: boolean
}

const isBlockDevice = (path: string): boolean =>
  fs.statSync(path, { throwIfNoEntry: false })?.isBlockDevice() ?? false

const openTarget = (path: string, overwrite: boolean): Opened => {
  const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants
  if (isBlockDevice(path)) {
    const detail = "is a block device; everything on it would be lost (allow it with --overwrite always)"
    if (!overwrite) throw new ExtractError({ reason: "Target", subject: path, detail })
    return { fd: fs.openSync(path, O_WRONLY | O_EXCL), isDevice: true }
  }
  if (overwrite) fs.rmSync(path, { force: true })
  try {
    return { fd: fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600), isDevice: false }
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error
    const detail = "exists already and is left as it is (replace it with --overwrite always)"
    throw new ExtractError({ reason: "Target", subject: path, detail })
  }
}

/** Opens the target for `sizeBytes` of content. */
export const open = (
  path: string,
  sizeBytes: number,
  overwrite: boolean
): Effect.Effect<FileTarget, ExtractError, Scope.Scope> =>
  Effect.gen(function* () {
    let isComplete = false
    const { fd, isDevice } = yield* Effect.acquireRelease(
      attempt(path, () => openTarget(path, overwrite)),
      (opened, exit) =>
        Effect.sync(() => {
          fs.closeSync(opened.fd)
          if (!opened.isDevice && (!isComplete || Exit.isFailure(exit))) fs.rmSync(path, { force: true })
        })
    )
    // A device keeps what was on it before: its zeros have to be written, which a size below a page achieves.
    const writer = new FileWriter(fd, isDevice ? 0 : sizeBytes)
    return {
      write: (bytes) => attempt(path, () => writer.write(bytes)),
      finish: attempt(path, () => {
        writer.finish()
        if (isDevice) fs.fsyncSync(fd)
        isComplete = true
      })
    }
  })
