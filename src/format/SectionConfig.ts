/**
 * Section configuration: the text files in which Proxmox Backup Server keeps endpoints, datastores and jobs. A section
 * is a header line `type: id` and lines `<tab>key value`; an empty line ends it. There are no comments.
 *
 * Invariant: `encode(decode(text))` is `text` for everything that Proxmox Backup Server writes. Keys, values and
 * sections that we do not know, their order and repeated keys (lists) survive a rewrite.
 *
 * Values may be secret: an error names the line, the section and at most the key.
 */
import { hash } from "node:crypto"
import { fail as failFormat } from "./FormatError.ts"

export interface Property {
  readonly key: string
  /** Without blanks around it; may be empty. */
  readonly value: string
}

export interface Section {
  readonly type: string
  readonly id: string
  readonly properties: ReadonlyArray<Property>
}

/** Largest file that is read. */
export const maxBytes = 4 * 1024 * 1024

/** SHA-256 of a file's text in hex: who changes the file says which one was meant. A missing file is an empty one. */
export const digestOf = (content: Uint8Array): string => hash("sha256", content, "hex")

/** What Proxmox Backup Server trims: not quite what JavaScript does. */
const blank = String.raw`\p{White_Space}`
const outerBlanks = new RegExp(`^${blank}+|${blank}+$`, "gu")
const headerLine = /^(\p{Alphabetic}[^:]*):(.*)$/su
const propertyLine = new RegExp(`^${blank}+([^${blank}]+)${blank}(.*)$`, "su")
const beginsBlank = new RegExp(`^${blank}`, "u")
const plainKey = /^[a-z][a-z0-9-]{0,40}$/

const trim = (text: string): string => text.replaceAll(outerBlanks, "")

export const titleOf = ({ type, id }: Pick<Section, "type" | "id">): string => `${type}: ${id}`

/** What may be told of a line without telling a secret. */
const describe = (line: string): string => {
  const word = trim(line).split(new RegExp(`[${blank}:]`, "u"))[0] ?? ""
  return plainKey.test(word) ? `a line that begins with "${word}"` : "something else"
}

interface Place {
  /** Counted from 0. */
  readonly index: number
  readonly lines: ReadonlyArray<string>
  readonly section: Pick<Section, "type" | "id"> | undefined
}

const refuse = ({ index, lines, section }: Place, expected: string, found: string): never => {
  const where = section === undefined ? "" : `, section "${titleOf(section)}"`
  const offset = lines.slice(0, index).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
  return failFormat("configuration", offset, expected, `${found} (line ${index + 1}${where})`)
}

/** Nearly all lines are like these, and a file of a thousand sections has many; the grammar proper is above. */
const plainHeader = /^([a-z][a-z0-9-]*): ([\x21-\x7e]+)$/
const plainProperty = /^\t([\x21-\x7e]+) ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/

const readHeader = (line: string, place: Place): Pick<Section, "type" | "id"> => {
  const [, plainType, plainId = ""] = plainHeader.exec(line) ?? []
  if (plainType !== undefined) return { type: plainType, id: plainId }
  const [, type = "", id = ""] = headerLine.exec(line) ?? []
  return type === ""
    ? refuse(place, 'a header "type: id" at the beginning of the line', describe(line))
    : { type: trim(type), id: trim(id) }
}

const readProperty = (line: string, place: Place): Property => {
  const [, plainName, plainValue = ""] = plainProperty.exec(line) ?? []
  if (plainName !== undefined) return { key: plainName, value: plainValue }
  const [, key, value = ""] = propertyLine.exec(line) ?? []
  if (key !== undefined) return { key, value: trim(value) }
  return beginsBlank.test(line)
    ? refuse(place, "a key, a blank and a value", describe(line))
    : refuse(
        place,
        "an indented key with its value, or an empty line before the next section",
        describe(line)
      )
}

const visible = /[\x21-\x7e]/

/** Whether a line ends a section. */
const isEmpty = (line: string): boolean => line === "" || (!visible.test(line) && trim(line) === "")

/** Reads a file's text; throws `FormatError`. */
export const decode = (text: string): ReadonlyArray<Section> => {
  const sections: Array<Section & { readonly properties: Array<Property> }> = []
  const ids = new Set<string>()
  let open: (typeof sections)[number] | undefined
  const lines = text.split("\n")
  for (const [index, raw] of lines.entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw
    if (isEmpty(line)) open = undefined
    else if (open !== undefined) open.properties.push(readProperty(line, { index, lines, section: open }))
    else {
      const header = readHeader(line, { index, lines, section: undefined })
      if (ids.has(header.id)) {
        refuse({ index, lines, section: header }, "every id once", "an id for the second time")
      }
      open = { ...header, properties: [] }
      ids.add(open.id)
      sections.push(open)
    }
  }
  return sections
}

const control = /\p{Cc}/u

/** Nothing that would be read as something else, or not at all. */
const checkWord = (kind: string, text: string, isGood: boolean): void => {
  if (!isGood || control.test(text) || trim(text) !== text) {
    failFormat("configuration", 0, `a ${kind} that fits into its line`, "something else")
  }
}

const check = ({ type, id, properties }: Section): void => {
  checkWord("type", type, /^\p{Alphabetic}[^:]*$/u.test(type))
  checkWord("id", id, true)
  for (const { key, value } of properties) {
    checkWord("key", key, key !== "" && !new RegExp(blank, "u").test(key))
    checkWord(`value of ${key}`, value, true)
  }
}

/** Writes what `decode` reads; throws `FormatError` for what no line could hold. */
export const encode = (sections: ReadonlyArray<Section>): string => {
  sections.forEach(check)
  return sections
    .map((section) =>
      [titleOf(section), ...section.properties.map(({ key, value }) => `\t${key} ${value}`)]
        .map((line) => `${line}\n`)
        .join("")
    )
    .join("\n")
}

/** The first value of a key. */
export const valueOf = ({ properties }: Section, key: string): string | undefined =>
  properties.find((property) => property.key === key)?.value

/** All values of a key: a list has one line for each of its elements. */
export const valuesOf = ({ properties }: Section, key: string): ReadonlyArray<string> =>
  properties.filter((property) => property.key === key).map(({ value }) => value)

/** Where a new key goes: to its place in the alphabet, as Proxmox Backup Server writes them, or to the end. */
const placeFor = (properties: ReadonlyArray<Property>, key: string): number => {
  const isSorted = properties.every((property, index) => property.key >= (properties[index - 1]?.key ?? ""))
  const next = isSorted ? properties.findIndex((property) => property.key > key) : -1
  return next === -1 ? properties.length : next
}

/** The section with these values of a key instead of those it has, in the place of the first; none remove it. */
export const withValues = (section: Section, key: string, values: ReadonlyArray<string>): Section => {
  const { properties } = section
  const first = properties.findIndex((property) => property.key === key)
  const at = first === -1 ? placeFor(properties, key) : first
  const others = (from: number, to: number) =>
    properties.slice(from, to).filter((property) => property.key !== key)
  const own = values.map((value) => ({ key, value }))
  return { ...section, properties: [...others(0, at), ...own, ...others(at, properties.length)] }
}
