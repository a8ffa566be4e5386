/** Listening: what commands that serve have in common: where they listen, and how faults are told. */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Listen from "../webdav/Listen.ts"
import { UsageError } from "./Failure.ts"
import * as Format from "./Format.ts"

/** The address that a command was given. */
export const addressOf = (text: string, defaultAddress: string) => {
  const address = Listen.parse(text)
  if (address !== undefined) return Effect.succeed(address)
  const hint = `write HOST:PORT, such as ${defaultAddress} or [::1]:0`
  return Effect.fail(new UsageError({ detail: `${Format.name(text)} is no address to listen at`, hint }))
}

/** Faults, as they come: standard output is the command's. */
export const toStandardError = Logger.layer([
  Logger.make<unknown, void>(({ message }) => {
    const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
    process.stderr.write(`warning: ${Format.name(parts.map(String).join(": "))}\n`)
  })
])
