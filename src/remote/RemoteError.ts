/**
 * What can go wrong between us and a datastore server. The reason says what to tell the person, and whether trying
 * again can help.
 *
 * Invariant: `Missing` means that the server itself said so; every trouble on the way there has another reason, so that
 * nothing is taken for lost because a line was cut. Texts of a server are shown as one line without control characters,
 * and no secret is ever in a message.
 */
import * as Data from "effect/Data"

export type RemoteReason =
  /** No permission, or anything else that the server refuses, with its own text. */
  | "Refused"
  /** The server says that it is not there. */
  | "Missing"
  /** Somebody else has it just now. */
  | "Busy"
  /** No connection came about: nothing was sent. */
  | "Unreachable"
  /** The connection broke, or its time was up, before the answer was there. */
  | "Disconnected"
  /** The server's certificate is neither trusted by the system nor the pinned one. Nothing was sent. */
  | "Certificate"
  /** The server does not accept the user, the token, or the secret. */
  | "Login"
  /** What came is no answer of such a server, or not a whole one. */
  | "BadAnswer"
  /** The answer is larger than what was asked for can be. */
  | "TooLarge"

const hints: Record<RemoteReason, string> = {
  Refused: "check what you asked for, and the permissions of the user or token on the server",
  Missing: "check the names; granary snapshots lists what is there",
  Busy: "wait for the other operation on the server to end, then try again",
  Unreachable: "check the host, the port and the network, and that the server runs",
  Disconnected: "check the network and the server's log, then try again",
  Certificate: "compare the fingerprint with the one the server shows, then give it with --fingerprint",
  Login: "check user, realm and token, and the secret in GRANARY_PASSWORD, PBS_PASSWORD or --password-file",
  BadAnswer: "check host and port: is it a Proxmox Backup Server or granary serve, and no proxy in between?",
  TooLarge: "check host and port, and the server: it is damaged or not what it seems"
}

const transient = new Set<RemoteReason>(["Busy", "Unreachable", "Disconnected"])

export class RemoteError extends Data.TaggedError("RemoteError")<{
  readonly reason: RemoteReason
  /** Host and port. */
  readonly server: string
  readonly detail: string
  /** What the server answered with, where it did. */
  readonly status?: number
  /** Another hint than that of the reason. */
  readonly advice?: string
}> {
  override get message(): string {
    return `${this.server}: ${this.detail}`
  }

  get hint(): string {
    return this.advice ?? hints[this.reason]
  }

  /** The same may well succeed a little later. */
  get isTransient(): boolean {
    return transient.has(this.reason)
  }
}

export const isMissing = (error: RemoteError): boolean => error.reason === "Missing"
