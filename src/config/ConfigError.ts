/** ConfigError: what is wrong with what the configuration holds, or is asked to hold. Never quotes a secret. */
import * as Data from "effect/Data"

export class ConfigError extends Data.TaggedError("ConfigError")<{
  /** The file, or the entry that is spoken of. */
  readonly subject: string
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }
}
