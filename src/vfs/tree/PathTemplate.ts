/**
 * PathTemplate: where in the tree a snapshot is found, such as `{type}/{id}/{time}`, and what that makes of the folders
 * above it.
 *
 * Invariant: two snapshots of one namespace never have the same path. `{id}` is the only placeholder of any length, so
 * it is enough that type, id and the whole time are named.
 */
import { type BackupGroup, backupTypes } from "../../model/BackupGroup.ts"
import * as BackupTime from "../../model/BackupTime.ts"
import { refuse } from "../../model/InvalidName.ts"
import * as SafeId from "../../model/SafeId.ts"
import type { Snapshot } from "../../model/Snapshot.ts"

export const defaultTemplate = "{type}/{id}/{time}"

/** Folder of the namespaces inside of one, as in a datastore. */
export const namespacesName = "ns"

/** The link to a group's newest snapshot. */
export const latestName = "latest"

const kind = "path template"

const groupPlaceholders = ["type", "id"] as const
const timePlaceholders = ["time", "time-safe", "year", "month", "day", "hour", "minute", "second"] as const
const timeParts = ["year", "month", "day", "hour", "minute", "second"] as const

type GroupPlaceholder = (typeof groupPlaceholders)[number]
type TimePlaceholder = (typeof timePlaceholders)[number]
type Placeholder = GroupPlaceholder | TimePlaceholder

/** Text as it is, or a placeholder. */
type Piece = { readonly text: string } | { readonly placeholder: Placeholder }

type Component = ReadonlyArray<Piece>

const isPlaceholder = (name: string): name is Placeholder =>
  [...groupPlaceholders, ...timePlaceholders].some((known) => known === name)

const isOfGroup = (placeholder: Placeholder): placeholder is GroupPlaceholder =>
  groupPlaceholders.some((known) => known === placeholder)

const placeholdersOf = (components: ReadonlyArray<Component>): ReadonlySet<Placeholder> =>
  new Set(components.flat().flatMap((piece) => ("placeholder" in piece ? [piece.placeholder] : [])))

const parseComponent = (template: string, text: string): Component => {
  if (text === "" || text === "." || text === "..") {
    return refuse(kind, template, 'names between the slashes, none of them empty, "." or ".."')
  }
  return text.split(/(\{[^{}]*\})/).flatMap((part, index): ReadonlyArray<Piece> => {
    if (index % 2 === 0) {
      if (/[{}\0]/.test(part)) return refuse(kind, template, "placeholders in braces, such as {id}")
      return part === "" ? [] : [{ text: part }]
    }
    const placeholder = part.slice(1, -1)
    if (isPlaceholder(placeholder)) return [{ placeholder }]
    const known = [...groupPlaceholders, ...timePlaceholders].map((name) => `{${name}}`).join(" ")
    return refuse(kind, template, `placeholders out of ${known}, not ${part}`)
  })
}

/** What of a snapshot stands for a time placeholder: cut out of `2026-11-21T10:00:00Z`. */
const timeText = (placeholder: TimePlaceholder, time: string): string => {
  switch (placeholder) {
    case "time":
      return time
    case "time-safe":
      return time.replaceAll(":", "-")
    case "year":
      return time.slice(0, 4)
    case "month":
      return time.slice(5, 7)
    case "day":
      return time.slice(8, 10)
    case "hour":
      return time.slice(11, 13)
    case "minute":
      return time.slice(14, 16)
    case "second":
      return time.slice(17, 19)
  }
}

const groupText = (placeholder: GroupPlaceholder, group: BackupGroup): string =>
  placeholder === "type" ? group.type : group.id

const render = (component: Component, group: BackupGroup, time: string): string =>
  component
    .map((piece) => {
      if ("text" in piece) return piece.text
      const { placeholder } = piece
      return isOfGroup(placeholder) ? groupText(placeholder, group) : timeText(placeholder, time)
    })
    .join("")

export interface PathTemplate {
  readonly text: string
  /** How many names a snapshot's path has. */
  readonly depth: number
  /** How many of them, from the first on, do not depend on the time. */
  readonly groupDepth: number
  /** Those first names belong to a single group: there its `latest` is. */
  readonly hasGroupFolder: boolean
  /** The names that do not depend on the time. */
  readonly ofGroup: (group: BackupGroup) => ReadonlyArray<string>
  /** The whole path. */
  readonly ofSnapshot: (snapshot: Snapshot) => ReadonlyArray<string>
}

/** What a piece may come to, as a regular expression. */
const sourceOf = (piece: Piece): string => {
  if ("text" in piece) return piece.text.replaceAll(/[^A-Za-z0-9]/g, String.raw`\$&`)
  if (piece.placeholder === "type") return `(?:${backupTypes.join("|")})`
  return piece.placeholder === "id" ? SafeId.source : "[0-9TZ:-]+"
}

const checkFirst = (template: string, first: Component): void => {
  if (new RegExp(`^${first.map(sourceOf).join("")}$`).test(namespacesName)) {
    refuse(kind, template, `a first name that cannot be "${namespacesName}", the folder of the namespaces`)
  }
}

const checkUnique = (template: string, components: ReadonlyArray<Component>): void => {
  const named = placeholdersOf(components)
  const hasTime = named.has("time") || named.has("time-safe") || timeParts.every((part) => named.has(part))
  if (!named.has("type") || !named.has("id") || !hasTime) {
    const time = "{time}, {time-safe} or all of {year} {month} {day} {hour} {minute} {second}"
    refuse(kind, template, `a name for every snapshot: {type}, {id}, and ${time}`)
  }
}

/** Reads a template; throws `InvalidName` for one that would not name every snapshot. */
export const parse = (text: string): PathTemplate => {
  const components = text.split("/").map((component) => parseComponent(text, component))
  checkUnique(text, components)
  checkFirst(text, components[0] ?? [])
  const isOfTime = (component: Component): boolean =>
    component.some((piece) => "placeholder" in piece && !isOfGroup(piece.placeholder))
  const groupDepth = components.findIndex(isOfTime)
  const leading = components.slice(0, groupDepth)
  const ofLeading = placeholdersOf(leading)
  const ofGroup = (group: BackupGroup) => leading.map((component) => render(component, group, ""))
  return {
    text,
    depth: components.length,
    groupDepth,
    hasGroupFolder: ofLeading.has("type") && ofLeading.has("id"),
    ofGroup,
    ofSnapshot: ({ group, time }) => {
      const written = BackupTime.format(time)
      return components.map((component) => render(component, group, written))
    }
  }
}
