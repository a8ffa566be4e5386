/** refusingWrites: the part of `Files` that changes something, for those that change nothing. */
import * as Effect from "effect/Effect"
import type { Files, FilesError } from "./Files.ts"

type Writing = Pick<
  Files["Service"],
  | "makeDirectory"
  | "makeDirectories"
  | "createFile"
  | "replaceFile"
  | "rename"
  | "unlink"
  | "removeDirectory"
  | "touch"
  | "syncDirectory"
  | "syncFileSystem"
>

/** `refuse` is told what was to be done, as messages have it, and to what. */
export const refusingWrites = (refuse: (operation: string, path: string) => FilesError): Writing => {
  const refusing = (operation: string) => (path: string) => Effect.fail(refuse(operation, path))
  return {
    makeDirectory: refusing("create directory"),
    makeDirectories: refusing("create directories in"),
    createFile: refusing("create"),
    replaceFile: refusing("write"),
    rename: refusing("rename"),
    unlink: refusing("remove"),
    removeDirectory: refusing("remove directory"),
    touch: refusing("touch"),
    // There is nothing to flush.
    syncDirectory: () => Effect.void,
    syncFileSystem: () => Effect.void
  }
}
