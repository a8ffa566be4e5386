/**
 * Files with a hook around every operation: tests use it to count operations, to fail one of them, or to stop in front
 * of it. `before` may fail instead of the operation; `after` may fail although it has happened, as when an answer is
 * lost.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Files, FilesError } from "../../src/platform/Files.ts"

type Service = Files["Service"]

export type Operation = keyof Service

/** `call` counts the operations, from 0. */
type Hook = (operation: Operation, path: string, call: number) => Effect.Effect<void, FilesError>

export interface Hooks {
  readonly before?: Hook
  readonly after?: Hook
}

const noHook: Hook = () => Effect.void

export const hook = (files: Service, { before = noHook, after = noHook }: Hooks): Service => {
  let calls = 0
  const around = <A, R>(operation: Operation, path: string, effect: Effect.Effect<A, FilesError, R>) =>
    Effect.suspend(() => {
      const call = calls++
      return before(operation, path, call).pipe(
        Effect.andThen(effect),
        Effect.tap(() => after(operation, path, call))
      )
    })
  return {
    stat: (path) => around("stat", path, files.stat(path)),
    readFile: (path, maxSizeBytes) => around("readFile", path, files.readFile(path, maxSizeBytes)),
    readDirectory: (path) => around("readDirectory", path, files.readDirectory(path)),
    statDirectory: (path) => around("statDirectory", path, files.statDirectory(path)),
    statEach: (paths) => around("statEach", paths[0] ?? "", files.statEach(paths)),
    openRead: (path) => around("openRead", path, files.openRead(path)),
    makeDirectory: (path, mode) => around("makeDirectory", path, files.makeDirectory(path, mode)),
    makeDirectories: (parent, names, mode) =>
      around("makeDirectories", parent, files.makeDirectories(parent, names, mode)),
    createFile: (path, content, options) =>
      around("createFile", path, files.createFile(path, content, options)),
    replaceFile: (path, parts, options) =>
      around("replaceFile", path, files.replaceFile(path, parts, options)),
    rename: (from, to) => around("rename", from, files.rename(from, to)),
    unlink: (path) => around("unlink", path, files.unlink(path)),
    removeDirectory: (path) => around("removeDirectory", path, files.removeDirectory(path)),
    touch: (path) => around("touch", path, files.touch(path)),
    syncDirectory: (path) => around("syncDirectory", path, files.syncDirectory(path)),
    syncFileSystem: (path) => around("syncFileSystem", path, files.syncFileSystem(path)),
    statFileSystem: (path) => around("statFileSystem", path, files.statFileSystem(path)),
    temporaryName: (path) => files.temporaryName(path)
  }
}

/** Puts the hooks around the Files of a layer. */
export const layer = <E, R>(base: Layer.Layer<Files, E, R>, hooks: Hooks): Layer.Layer<Files, E, R> =>
  Layer.provide(
    Layer.effect(
      Files,
      Effect.map(Files, (files) => hook(files, hooks))
    ),
    base
  )

export const ioError = (operation: string, path: string): FilesError =>
  new FilesError({ operation, path, reason: "Io", code: "EIO" })

/** Does something at the call with that number, and nothing at any other. */
export const atCall =
  (number: number, then: Hook): Hook =>
  (operation, path, call) =>
    call === number ? then(operation, path, call) : Effect.void
