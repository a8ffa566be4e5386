/** WebDavError: why a tree could not be served. */
import * as Data from "effect/Data"

export type WebDavReason = "AddressInUse" | "OpenToOthers" | "CannotListen"

const hints: Record<WebDavReason, string> = {
  AddressInUse: "choose another port, or 0 for any that is free",
  OpenToOthers: "keep to 127.0.0.1, or allow it with --allow-remote",
  CannotListen: "choose another address"
}

export class WebDavError extends Data.TaggedError("WebDavError")<{
  readonly reason: WebDavReason
  /** The address, as `HOST:PORT`. */
  readonly subject: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }

  get hint(): string {
    return hints[this.reason]
  }
}

export const webDavError = (reason: WebDavReason, subject: string, detail: string): WebDavError =>
  new WebDavError({ reason, subject, detail })
