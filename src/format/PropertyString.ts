/**
 * Property strings: `type=s3,client=minio,bucket=mine`, several properties in one value of a section. One without a key
 * belongs to the default key of whoever reads it. A value in double quotes may hold anything; `\"`, `\\` and `\n` stand
 * for a quote, a backslash and a line break there.
 *
 * Invariant: `decode(encode(pairs))` is `pairs`. Keys that nobody here knows, and their order, survive a change.
 */
import { fail as failFormat } from "./FormatError.ts"

export interface Pair {
  /** Undefined: the default key's. */
  readonly key: string | undefined
  readonly value: string
}

const refuse = (offset: number, expected: string, found: string): never =>
  failFormat("configuration", offset, expected, found)

const escapes: { readonly [letter: string]: string } = { '"': '"', "\\": "\\", n: "\n" }

/** Reads what stands in quotes, from the opening one on; answers the value and where it ends. */
const readQuoted = (text: string, start: number): { readonly value: string; readonly end: number } => {
  let value = ""
  for (let at = start + 1; at < text.length; at++) {
    const letter = text.charAt(at)
    if (letter === '"') return { value, end: at + 1 }
    if (letter === "\\") {
      at += 1
      value += escapes[text.charAt(at)] ?? refuse(at, 'one of \\" \\\\ \\n', "another escape sequence")
    } else value += letter
  }
  return refuse(start, "a closing quote", "none")
}

const keyAndEquals = /^[^,="]*=/

/** Throws `FormatError`. */
export const decode = (text: string): ReadonlyArray<Pair> => {
  const pairs: Array<Pair> = []
  let at = 0
  while (at < text.length) {
    const [named] = keyAndEquals.exec(text.slice(at)) ?? []
    const key = named?.slice(0, -1)
    at += named?.length ?? 0
    if (text.charAt(at) === '"') {
      const { value, end } = readQuoted(text, at)
      if (end < text.length && text.charAt(end) !== ",")
        refuse(end, "a comma after the quote", "something else")
      pairs.push({ key, value })
      at = end + 1
    } else {
      const comma = text.indexOf(",", at)
      const end = comma === -1 ? text.length : comma
      pairs.push({ key, value: text.slice(at, end) })
      at = end + 1
    }
  }
  return pairs
}

const quote = (value: string): string =>
  `"${value.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`

/** Without a key a value must not look like one with a key; an empty one would not be there at all. */
const needsQuotes = ({ key, value }: Pair): boolean =>
  /[",\\\n]/.test(value) || (key === undefined && (value === "" || value.includes("=")))

const encodePair = (pair: Pair): string => {
  const { key, value } = pair
  if (key !== undefined && /[,="]/.test(key)) return refuse(0, "a key without signs", "another one")
  return `${key === undefined ? "" : `${key}=`}${needsQuotes(pair) ? quote(value) : value}`
}

export const encode = (pairs: ReadonlyArray<Pair>): string => pairs.map(encodePair).join(",")

/** The first value of a key; `defaultKey` is the one that a value without a key belongs to. */
export const valueOf = (pairs: ReadonlyArray<Pair>, name: string, defaultKey?: string): string | undefined =>
  pairs.find(({ key }) => (key ?? defaultKey) === name)?.value

/** The pairs with this value of a key instead of what it has, in its place; undefined takes it away. */
export const withValue = (
  pairs: ReadonlyArray<Pair>,
  name: string,
  value: string | undefined,
  defaultKey?: string
): ReadonlyArray<Pair> => {
  const at = pairs.findIndex(({ key }) => (key ?? defaultKey) === name)
  if (at === -1) return value === undefined ? pairs : [...pairs, { key: name, value }]
  const { key } = pairs[at] ?? { key: name }
  return pairs.flatMap((pair, index) => (index !== at ? [pair] : value === undefined ? [] : [{ key, value }]))
}
