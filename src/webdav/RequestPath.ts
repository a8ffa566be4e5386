/**
 * RequestPath: how the names of a tree are written in URLs, and read from what a client sends.
 *
 * A name is raw bytes, and so is a component of a URL: every byte but letters, digits and `-._~` becomes `%XX`. So a
 * name in whatever encoding goes out and comes back as it is. Nothing that comes in can be anything but a chain of
 * names: `.`, `..`, a slash or a NUL inside of a component are refused, however they are written. Slashes in a row
 * count as one.
 */

export interface RequestPath {
  /** From the root on; empty for the root itself. */
  readonly names: ReadonlyArray<Uint8Array>
  /** The path ended with a slash, so only a directory can be meant. */
  readonly isDirectory: boolean
}

const slash = 0x2f
const percent = 0x25

const isUnreserved = (byte: number): boolean =>
  (byte >= 0x61 && byte <= 0x7a) ||
  (byte >= 0x41 && byte <= 0x5a) ||
  (byte >= 0x30 && byte <= 0x39) ||
  byte === 0x2d ||
  byte === 0x2e ||
  byte === 0x5f ||
  byte === 0x7e

const encodedBytes = Array.from({ length: 256 }, (_, byte) =>
  isUnreserved(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
)

export const encodeName = (name: Uint8Array): string => {
  let text = ""
  for (const byte of name) text += encodedBytes[byte]
  return text
}

/** The absolute path of a thing: a directory's ends with a slash. */
export const format = (names: ReadonlyArray<Uint8Array>, isDirectory: boolean): string =>
  `/${names.map(encodeName).join("/")}${isDirectory && names.length > 0 ? "/" : ""}`

const digitOf = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** Undefined when a percent sign is not followed by two digits. */
const decodeName = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(text.length)
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === percent) {
      const [high, low] = [digitOf(text.charCodeAt(at + 1)), digitOf(text.charCodeAt(at + 2))]
      if (!(high >= 0 && low >= 0)) return undefined
      bytes[length++] = high * 16 + low
      at += 2
    } else if (code > 0xff) {
      return undefined
    } else {
      bytes[length++] = code
    }
  }
  return bytes.subarray(0, length)
}

const isName = (name: Uint8Array): boolean => {
  if (name.includes(0) || name.includes(slash)) return false
  return !(name.length <= 2 && name.every((byte) => byte === 0x2e))
}

const withoutOrigin = (target: string): string => target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "")

/**
 * Reads the target of a request: a path, or a whole URL, whose server is passed over. Characters stand for bytes.
 * Undefined when it is nothing that a tree could have.
 */
export const parse = (target: string): RequestPath | undefined => {
  const [path = ""] = withoutOrigin(target).split(/[?#]/, 1)
  if (path !== "" && !path.startsWith("/")) return undefined
  const names: Array<Uint8Array> = []
  for (const part of path.split("/")) {
    if (part === "") continue
    const name = decodeName(part)
    if (name === undefined || !isName(name)) return undefined
    names.push(name)
  }
  return { names, isDirectory: path === "" || path.endsWith("/") }
}
