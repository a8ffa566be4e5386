/** connectionFailures: what system and TLS say of a connection, as failures of a server. */
import { connectTimeoutCode, shownFingerprint, untrustedCode } from "../platform/HttpAgents.ts"
import { RemoteError, type RemoteReason } from "./RemoteError.ts"

const certificateCodes = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT)/

const unreachable: Readonly<Record<string, string>> = {
  [connectTimeoutCode]: "no connection came about in time",
  ECONNREFUSED: "nobody listens there",
  EHOSTUNREACH: "there is no way to this host",
  ENETUNREACH: "there is no way to this network",
  ENETDOWN: "the network is down",
  EADDRNOTAVAIL: "there is no way to this address",
  ENOTFOUND: "no host has this name",
  EAI_AGAIN: "the name of the host could not be looked up",
  ETIMEDOUT: "no connection came about in time"
}

const notTls = /^(?:EPROTO|ERR_SSL_)/

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""

const failed = (reason: RemoteReason, server: string, detail: string): RemoteError =>
  new RemoteError({ reason, server, detail })

const certificateDetail = (error: unknown, pinned: string | undefined): string => {
  const found = typeof error === "object" && error !== null ? shownFingerprint(error) : undefined
  const shown = found === undefined ? "" : `; it shows ${found}`
  return pinned === undefined
    ? `the system does not trust its certificate${shown}`
    : `its certificate has another fingerprint than the expected one${shown}`
}

/** A failure that came before anything of an answer. */
export const connectionFailure = (
  server: string,
  error: unknown,
  pinned: string | undefined
): RemoteError => {
  const code = codeOf(error)
  if (code === untrustedCode || certificateCodes.test(code)) {
    return failed("Certificate", server, certificateDetail(error, pinned))
  }
  const why = unreachable[code]
  if (why !== undefined) return failed("Unreachable", server, why)
  if (notTls.test(code)) return failed("BadAnswer", server, "it does not speak TLS 1.2 or later")
  return disconnected(server)
}

export const disconnected = (server: string, why = "the connection broke"): RemoteError =>
  failed("Disconnected", server, why)

export const tooLarge = (server: string, maxBytes: number): RemoteError =>
  failed("TooLarge", server, `its answer is larger than the ${maxBytes} bytes that it may have`)
