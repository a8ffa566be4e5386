/**
 * ContentType: what kind of document a file is by the ending of its name, as browsers want to know it. Nothing is said
 * of encodings, which nobody knows.
 */
import * as Mime from "effect/http/Mime"
import * as Option from "effect/Option"

const unknown = "application/octet-stream"

export const contentType = (name: Uint8Array): string => {
  const text = Buffer.from(name).toString("latin1")
  // Only with a slash before it the name is not taken for an ending.
  return Option.getOrElse(Mime.getType(`/${text.replaceAll("/", "")}`), () => unknown)
}

/** Documents that a browser would carry out code of. */
export const isActive = (type: string): boolean => /\b(?:html|xml|svg|javascript)\b|\+xml$/.test(type)
