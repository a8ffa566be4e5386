/**
 * RemoteFlags: how a server is logged in to and known. Secrets are never on the command line, where other users of the
 * machine could read them: they come from a file, from the environment, or from the person at the terminal.
 */
import * as Flag from "effect/cli/Flag"

export const flags = {
  passwordFile: Flag.String("password-file").pipe(
    Flag.withDescription(
      "File whose first line is the server's password or token secret (or set GRANARY_PASSWORD, PBS_PASSWORD)"
    ),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  serverFingerprint: Flag.String("fingerprint").pipe(
    Flag.withDescription(
      "SHA-256 of the server's certificate, to trust it (or set GRANARY_FINGERPRINT, PBS_FINGERPRINT)"
    ),
    Flag.withMetavar("FINGERPRINT"),
    Flag.optional
  )
} as const
