/**
 * The one failure of every decoder in `format/`: which format, where in the input, what was expected, what stood there.
 *
 * Decoders are plain functions that throw `FormatError` and nothing else for bad input; `attempt` lifts such a call
 * into an Effect at the edge of a service. Anything else that is thrown is a defect of ours and stays one.
 */
import * as Data from "effect/Data"

/** Names of the formats, as they appear in messages. */
export type FormatName =
  | "data blob"
  | "fixed index"
  | "dynamic index"
  | "manifest"
  | "key file"
  | "master key"
  | "catalog"
  | "pxar archive"
  | "task id"
  | "configuration"

export class FormatError extends Data.TaggedError("FormatError")<{
  readonly format: FormatName
  /** Byte offset in the decoded input (for text: 0 when no better place is known). */
  readonly offset: number
  readonly expected: string
  readonly found: string
}> {
  override get message(): string {
    return `bad ${this.format} at byte ${this.offset}: expected ${this.expected}, found ${this.found}`
  }
}

/** Throws a `FormatError`; typed `never` so that callers narrow after it. */
export const fail = (format: FormatName, offset: number, expected: string, found: string): never => {
  throw new FormatError({ format, offset, expected, found })
}
