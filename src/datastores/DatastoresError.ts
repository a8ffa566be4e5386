/** DatastoresError: why a configured datastore cannot be had, and what to do about it. */
import * as Data from "effect/Data"

export type DatastoresReason =
  /** There is none of this name. */
  | "NoSuchDatastore"
  /** Its maintenance mode keeps the operation out. */
  | "InMaintenance"
  /** Others did not end their work in time. */
  | "StillInUse"
  | "Refused"

export class DatastoresError extends Data.TaggedError("DatastoresError")<{
  readonly reason: DatastoresReason
  /** The datastore's name. */
  readonly subject: string
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }
}
