/**
 * What is wrong with one setting of an S3 endpoint, and what to write instead. The texts of keys never appear in it.
 */
import * as Data from "effect/Data"

/** Longer texts are cut, so that a message stays one line. */
const quotedLengthMax = 120

const quote = (text: string): string =>
  JSON.stringify(text.length > quotedLengthMax ? `${text.slice(0, quotedLengthMax)}...` : text)

export class S3SettingsError extends Data.TaggedError("S3SettingsError")<{
  /** By PBS's name: `access-key`. */
  readonly setting: string
  /** What was written; absent when nothing was, and for secrets. */
  readonly text?: string
  readonly expected: string
  /** What to do, where that is more than writing what is expected. */
  readonly advice?: string
}> {
  override get message(): string {
    const found = this.text === undefined ? "" : ` ${quote(this.text)}`
    return `S3 setting ${this.setting}${found}: expected ${this.expected}`
  }

  get hint(): string {
    return (
      this.advice ?? `correct ${this.setting} in the endpoint's settings, or set ${variableOf(this.setting)}`
    )
  }
}

/** The environment variable that holds a setting: `GRANARY_S3_ACCESS_KEY`. */
export const variableOf = (setting: string): string =>
  `GRANARY_S3_${setting.replaceAll("-", "_").toUpperCase()}`
