/** ServerError: why a server cannot serve. */
import * as Data from "effect/Data"

export class ServerError extends Data.TaggedError("ServerError")<{
  readonly subject: string
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }
}
