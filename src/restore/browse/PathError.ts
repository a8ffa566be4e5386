/** What can be wrong with a path inside an archive: it leads nowhere, or not to what was asked for. */
import * as Data from "effect/Data"

export type PathReason = "NoSuchPath" | "NotADirectory" | "NotAFile"

const hints: Record<PathReason, string> = {
  NoSuchPath: "list what there is with: granary ls SNAPSHOT ARCHIVE",
  NotADirectory: "name a directory",
  NotAFile: "name a regular file"
}

const details: Record<PathReason, string> = {
  NoSuchPath: "the archive has no such path",
  NotADirectory: "this is not a directory",
  NotAFile: "this is not a regular file"
}

export class PathError extends Data.TaggedError("PathError")<{
  readonly reason: PathReason
  /** The archive. */
  readonly archive: string
  /** The path as text, for people. */
  readonly path: string
}> {
  override get message(): string {
    return `${this.archive}: ${JSON.stringify(this.path)}: ${details[this.reason]}`
  }

  get hint(): string {
    return hints[this.reason]
  }
}

const decoder = new TextDecoder()

export const pathError = (reason: PathReason, archive: string, path: Uint8Array): PathError =>
  new PathError({ reason, archive, path: `/${decoder.decode(path).replace(/^\/+/, "")}` })
