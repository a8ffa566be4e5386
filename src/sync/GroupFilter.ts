/**
 * GroupFilter: which backup groups a sync takes, in PBS's text: `[include:|exclude:](type:vm|group:vm/100|regex:...)`.
 *
 * A group is taken when there is no include filter, or one of them matches, and no exclude filter does. A regular
 * expression is searched anywhere in `vm/100`: anchors are the user's business.
 *
 * Invariant: a filter is made by `parse` only, so its expression compiles. Ids are short, but an expression can still
 * take for ever on a short text by trying every way to divide it: so long expressions are refused, and those that
 * repeat a group which itself repeats or chooses, where the ways multiply. PBS's engine has no such ones to fear, and
 * no backreferences or looking around either: these are refused as well.
 */
import * as BackupGroup from "../model/BackupGroup.ts"
import { refuse } from "../model/InvalidName.ts"

export type GroupMatcher =
  | { readonly kind: "type"; readonly type: BackupGroup.BackupType }
  | { readonly kind: "group"; readonly group: BackupGroup.BackupGroup }
  | { readonly kind: "regex"; readonly pattern: RegExp }

export interface GroupFilter {
  readonly mode: "include" | "exclude"
  readonly matcher: GroupMatcher
  /** As it was given. */
  readonly text: string
}

const kind = "group filter"

const grammar = "[include:|exclude:] and then type:<vm|ct|host>, group:<type/id> or regex:<expression>"

export const expressionLengthMax = 256

/** How many repeats may stand in a row: each multiplies the ways to divide a text by its length. */
const repeatsMax = 3

/** Backslash and what it escapes, a class, the opening of a group, a quantifier, anything else. */
const tokens = /\\[\s\S]?|\[(?:\\[\s\S]|[^\]])*\]?|\(\?[=!]|\(\?<[=!]|\(|\{\d+(?:,\d*)?\}|[\s\S]/gu

const isRepeat = (token: string | undefined): boolean =>
  token === "*" || token === "+" || (token?.startsWith("{") ?? false)

/** Why an expression is not taken; undefined when it is. Whether it is one at all is for the engine to say. */
const faultOf = (text: string): string | undefined => {
  if (text.length > expressionLengthMax) return `an expression of at most ${expressionLengthMax} characters`
  const found = text.match(tokens) ?? []
  // Of each group that is open: whether something in it repeats or chooses.
  const branches: Array<boolean> = [false]
  let repeats = 0
  for (const [at, token] of found.entries()) {
    if (/^\\[1-9k]/.test(token)) return "an expression without references to its groups"
    if (token.startsWith("(?")) return "an expression that does not look around"
    if (token === "(") branches.push(false)
    if (token === "|" && branches.length === 1) repeats = 0
    if (isRepeat(token) && ++repeats > repeatsMax) {
      return `an expression with at most ${repeatsMax} repeats in a row: more can take for ever`
    }
    const hasBranched = token === ")" && branches.length > 1 ? branches.pop() === true : false
    if (hasBranched && isRepeat(found[at + 1])) {
      return "an expression without repeated groups that repeat or choose inside, which can take for ever"
    }
    if (hasBranched || isRepeat(token) || token === "?" || token === "|") branches[branches.length - 1] = true
  }
  return undefined
}

const readExpression = (text: string, whole: string): RegExp => {
  const fault = faultOf(text)
  if (fault !== undefined) return refuse(kind, whole, fault)
  try {
    return new RegExp(text, "u")
  } catch (error) {
    return refuse(kind, whole, `a regular expression (${error instanceof Error ? error.message : "invalid"})`)
  }
}

const readMatcher = (text: string, whole: string): GroupMatcher => {
  const colon = text.indexOf(":")
  const value = text.slice(colon + 1)
  switch (colon === -1 ? "" : text.slice(0, colon)) {
    case "type":
      if (BackupGroup.isBackupType(value)) return { kind: "type", type: value }
      return refuse(kind, whole, grammar)
    case "group":
      return { kind: "group", group: BackupGroup.parse(value) }
    case "regex":
      return { kind: "regex", pattern: readExpression(value, whole) }
    default:
      return refuse(kind, whole, grammar)
  }
}

/** Reads PBS's text; throws `InvalidName`. */
export const parse = (text: string): GroupFilter => {
  const [, prefix] = /^(include|exclude):/.exec(text) ?? []
  const rest = prefix === undefined ? text : text.slice(prefix.length + 1)
  return { mode: prefix === "exclude" ? "exclude" : "include", matcher: readMatcher(rest, text), text }
}

const matches = (matcher: GroupMatcher, group: BackupGroup.BackupGroup): boolean => {
  const text = BackupGroup.format(group)
  switch (matcher.kind) {
    case "type":
      return matcher.type === group.type
    case "group":
      return BackupGroup.format(matcher.group) === text
    case "regex":
      return matcher.pattern.test(text)
  }
}

/** Whether the filters take the group. */
export const accepts = (filters: ReadonlyArray<GroupFilter>, group: BackupGroup.BackupGroup): boolean => {
  const included = filters.filter(({ mode }) => mode === "include")
  const excluded = filters.filter(({ mode }) => mode === "exclude")
  const isIncluded = included.length === 0 || included.some(({ matcher }) => matches(matcher, group))
  return isIncluded && !excluded.some(({ matcher }) => matches(matcher, group))
}
