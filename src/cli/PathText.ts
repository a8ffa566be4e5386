/**
 * PathText: paths inside archives as users type and read them. They are bytes in an archive; on the command line they
 * are UTF-8, or `base64:` and the bytes for those that are not.
 */
import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import { UsageError } from "./Failure.ts"
import * as Format from "./Format.ts"

const base64Prefix = "base64:"

/** Reads a path argument; `/` and nothing both mean the root. */
export const parse = (text: string): Effect.Effect<Uint8Array, UsageError> => {
  if (!text.startsWith(base64Prefix)) return Effect.succeed(new TextEncoder().encode(text))
  const encoded = text.slice(base64Prefix.length)
  const bytes = Buffer.from(encoded, "base64")
  if (bytes.toString("base64") === encoded) return Effect.succeed(bytes)
  return Effect.fail(
    new UsageError({ detail: `${text}: this is not base64`, hint: "write the path as text, or base64:BYTES" })
  )
}

/** With the leading slash that paths in an archive are shown with. */
export const fromRoot = (path: Uint8Array): Uint8Array => Buffer.concat([Buffer.from("/"), path])

/** The fields of a path in JSON: text, and the bytes as well where the text does not say everything. */
export const toJson = <Key extends string>(key: Key, bytes: Uint8Array): Readonly<Record<string, string>> => {
  const text = Format.utf8(bytes)
  return text === undefined
    ? { [key]: new TextDecoder().decode(bytes), [`${key}-base64`]: Buffer.from(bytes).toString("base64") }
    : { [key]: text }
}
