/**
 * The one failure of every parser in `model/`: what kind of name it was meant to be, the text, and the rule
 * it breaks.
 *
 * Parsers are plain functions that throw `InvalidName` and nothing else; who reads names from outside (a
 * directory, a command line, a manifest) turns it into the failure of that place.
 */
import * as Data from "effect/Data"

/** Longer texts are cut in messages, so that a hostile name cannot flood a log. */
const quotedLengthMax = 120

const quote = (text: string): string =>
  JSON.stringify(text.length > quotedLengthMax ? `${text.slice(0, quotedLengthMax)}...` : text)

export class InvalidName extends Data.TaggedError("InvalidName")<{
  /** What the text should have been, for example `backup id`. */
  readonly kind: string
  readonly text: string
  readonly expected: string
}> {
  override get message(): string {
    return `bad ${this.kind} ${quote(this.text)}: expected ${this.expected}`
  }
}

/** Throws an `InvalidName`; typed `never` so that callers narrow after it. */
export const refuse = (kind: string, text: string, expected: string): never => {
  throw new InvalidName({ kind, text, expected })
}
