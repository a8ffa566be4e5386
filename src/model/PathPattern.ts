/**
 * Patterns that say which paths a backup leaves out, as in `.pxarexclude` files and `--exclude`.
 *
 * The syntax is that of gitignore with the reference client's particulars. A leading `!` takes matching paths in again;
 * a leading `/` anchors the pattern, any other may match at every depth, also with several components; a trailing `/`
 * means directories only. `*` and `?` stay within a component, `**` as a whole component spans any number of them,
 * `[a-z]`, `[^a-z]` and `[[:digit:]]` match one byte, a backslash takes the next byte literally. Of several patterns
 * the last one that matches decides.
 *
 * Everything is bytes. Both levels, components and bytes within one, are matched by the method that goes back to the
 * last star only, so a match takes at most (pattern length x path length) steps, whatever the pattern.
 */
import { refuse } from "./InvalidName.ts"

/** One byte of a component: that byte, or any of a class (256 flags). */
type ByteMatcher = number | Uint8Array

/** What one component must look like; `star` stands for any number of bytes. */
type Glob = ReadonlyArray<ByteMatcher | "star">

/** `span` stands for any number of components, `rest` for one or more up to the end. */
type Component = Glob | "span" | "rest"

export interface PathPattern {
  readonly decision: "include" | "exclude"
  readonly isDirectoriesOnly: boolean
  readonly components: ReadonlyArray<Component>
  /** The pattern as it was given, without superfluous trailing slashes. */
  readonly text: Uint8Array
}

const KIND = "path pattern"
const SLASH = 0x2f
const BANG = 0x21
const STAR = 0x2a
const QUESTION_MARK = 0x3f
const BACKSLASH = 0x5c
const OPENING_BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const CARET = 0x5e
const DASH = 0x2d

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const classOf = (isMember: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (isMember(byte) ? 1 : 0))

const isBetween = (first: string, last: string): ((byte: number) => boolean) => {
  const low = first.charCodeAt(0)
  const high = last.charCodeAt(0)
  return (byte) => byte >= low && byte <= high
}

const isLower = isBetween("a", "z")
const isUpper = isBetween("A", "Z")
const isDigit = isBetween("0", "9")
const isGraph = isBetween("!", "~")
const isAlpha = (byte: number): boolean => isLower(byte) || isUpper(byte)
const isAlnum = (byte: number): boolean => isAlpha(byte) || isDigit(byte)
const isHexLetter = (byte: number): boolean => isBetween("a", "f")(byte) || isBetween("A", "F")(byte)

const NAMED_CLASSES: Readonly<Record<string, (byte: number) => boolean>> = {
  alnum: isAlnum,
  alpha: isAlpha,
  blank: (byte) => byte === 0x20 || byte === 0x09,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: isLower,
  print: (byte) => byte >= 0x20 && byte <= 0x7f,
  punct: (byte) => isGraph(byte) && !isAlnum(byte),
  space: (byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0c || byte === 0x0d,
  upper: isUpper,
  xdigit: (byte) => isDigit(byte) || isHexLetter(byte)
}

const ANY_BYTE = classOf(() => true)

/** Turns the bytes of a pattern into components; the position only moves forward. */
class Parser {
  readonly #bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  #refuse(expected: string): never {
    return refuse(KIND, decoder.decode(this.#bytes), expected)
  }

  #next(): number | undefined {
    return this.#bytes[this.#position++]
  }

  #escaped(): number {
    return this.#next() ?? this.#refuse("a byte after the last backslash")
  }

  components(): Array<Component> {
    const components: Array<Component> = []
    let glob: Array<ByteMatcher | "star"> = []
    let isSpan = false
    for (let byte = this.#next(); byte !== undefined; byte = this.#next()) {
      if (byte === BACKSLASH) byte = this.#escaped()
      else if (byte === STAR) {
        isSpan = this.#stars(glob.length === 0)
        glob.push("star")
        continue
      } else if (byte === QUESTION_MARK || byte === OPENING_BRACKET) {
        glob.push(byte === QUESTION_MARK ? ANY_BYTE : this.#class())
        continue
      }
      if (byte !== SLASH) glob.push(byte)
      else {
        components.push(isSpan ? "span" : glob)
        glob = []
        isSpan = false
      }
    }
    components.push(isSpan ? "rest" : glob)
    return components
  }

  /** Takes all stars of a row; true when they are two or more and make up the whole component. */
  #stars(isFirst: boolean): boolean {
    const start = this.#position
    while (this.#bytes[this.#position] === STAR) this.#position++
    const after = this.#bytes[this.#position]
    return isFirst && this.#position > start && (after === undefined || after === SLASH)
  }

  #class(): Uint8Array {
    const members = new Uint8Array(256)
    const isNegated = this.#bytes[this.#position] === CARET
    if (isNegated) this.#position++
    if (this.#bytes[this.#position] === CLOSING_BRACKET) this.#refuse("something between [ and ]")
    for (let byte = this.#classByte(); byte !== CLOSING_BRACKET; byte = this.#classByte()) {
      if (byte === OPENING_BRACKET && this.#addNamedClass(members)) continue
      const low = byte === BACKSLASH ? this.#escaped() : byte
      const high = this.#rangeEnd() ?? low
      members.fill(1, Math.min(low, high), Math.max(low, high) + 1)
    }
    return isNegated ? members.map((member) => 1 - member) : members
  }

  #classByte(): number {
    return this.#next() ?? this.#refuse("a ] for every [")
  }

  /** The upper end when a range follows; a dash right before the closing bracket is a member itself. */
  #rangeEnd(): number | undefined {
    const [dash, end] = this.#bytes.subarray(this.#position, this.#position + 2)
    if (dash !== DASH || end === undefined || end === CLOSING_BRACKET) return undefined
    this.#position += 2
    return end === BACKSLASH ? this.#escaped() : end
  }

  /** Takes `:name:]`, when there is a colon. */
  #addNamedClass(members: Uint8Array): boolean {
    const rest = decoder.decode(this.#bytes.subarray(this.#position, this.#position + 10))
    if (!rest.startsWith(":")) return false
    const name = /^:([a-z]+):\]/.exec(rest)?.[1] ?? ""
    const isMember = Object.hasOwn(NAMED_CLASSES, name) ? NAMED_CLASSES[name] : undefined
    if (isMember === undefined) return this.#refuse("a known class such as [:digit:]")
    this.#position += name.length + 3
    for (let byte = 0; byte < 256; byte++) if (isMember(byte)) members[byte] = 1
    return true
  }
}

const lengthWithoutSlashes = (bytes: Uint8Array): number => {
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === SLASH) length--
  return length
}

/** Components of a path, as views of it. */
const splitPath = (path: Uint8Array): Array<Uint8Array> => {
  const names: Array<Uint8Array> = []
  let start = 0
  for (let end = path.indexOf(SLASH); end >= 0; end = path.indexOf(SLASH, start)) {
    names.push(path.subarray(start, end))
    start = end + 1
  }
  names.push(path.subarray(start))
  return names
}

/**
 * Parses one pattern. `directory` is where an anchored pattern begins, relative to the root of the backup: the
 * folder of the `.pxarexclude` file that it stands in.
 */
export const parse = (line: string | Uint8Array, directory: Uint8Array = new Uint8Array()): PathPattern => {
  const whole = typeof line === "string" ? encoder.encode(line) : line
  if (whole.includes(0)) refuse(KIND, decoder.decode(whole), "no NUL")
  const isInclude = whole[0] === BANG
  const given = isInclude ? whole.subarray(1) : whole
  if (given.length === 0) refuse(KIND, decoder.decode(whole), "a pattern")
  const length = lengthWithoutSlashes(given)
  const isDirectoriesOnly = length < given.length
  const isAnchored = given[0] === SLASH
  const body = new Parser(given.subarray(isAnchored ? 1 : 0, length)).components()
  const prefix = directory.length === 0 ? [] : splitPath(directory).map((name) => Array.from(name))
  return {
    decision: isInclude ? "include" : "exclude",
    isDirectoriesOnly,
    components: isAnchored ? [...prefix, ...body] : ["span", ...body],
    text: whole.slice(0, whole.length - given.length + (isDirectoriesOnly ? length + 1 : length))
  }
}

const matchesGlob = (glob: Glob, name: Uint8Array): boolean => {
  let at = 0
  let position = 0
  let starAt = -1
  let starPosition = 0
  while (position < name.length) {
    const matcher = glob[at]
    const byte = name[position] ?? 0
    if (matcher === "star") {
      starAt = at++
      starPosition = position
    } else if (matcher === byte || (typeof matcher === "object" && matcher[byte] === 1)) {
      at++
      position++
    } else if (starAt >= 0) {
      at = starAt + 1
      position = ++starPosition
    } else return false
  }
  while (glob[at] === "star") at++
  return at === glob.length
}

const matchesNames = (components: ReadonlyArray<Component>, names: ReadonlyArray<Uint8Array>): boolean => {
  let at = 0
  let position = 0
  let spanAt = -1
  let spanPosition = 0
  while (position < names.length) {
    const component = components[at]
    const name = names[position]
    if (component === "rest") return true
    if (component === "span") {
      spanAt = at++
      spanPosition = position
    } else if (component !== undefined && name !== undefined && matchesGlob(component, name)) {
      at++
      position++
    } else if (spanAt >= 0) {
      at = spanAt + 1
      position = ++spanPosition
    } else return false
  }
  return at === components.length
}

/** What the last matching pattern says of a path (relative to the root, without a leading slash). */
export const match = (
  patterns: ReadonlyArray<PathPattern>,
  path: Uint8Array,
  isDirectory: boolean
): "include" | "exclude" | undefined => {
  if (patterns.length === 0 || path.length === 0) return undefined
  const names = splitPath(path)
  for (let index = patterns.length - 1; index >= 0; index--) {
    const pattern = patterns[index]
    if (pattern === undefined || (pattern.isDirectoriesOnly && !isDirectory)) continue
    if (matchesNames(pattern.components, names)) return pattern.decision
  }
  return undefined
}
