/**
 * SourceFile: one TypeScript file as the tidy rules see it: its text, imports, comments, functions and what it says of
 * some global names. Parsed once.
 */
import { type Comment, parseSync, type Span, Visitor } from "oxc-parser"

export interface Import {
  readonly specifier: string
  readonly line: number
}

export interface FunctionSize {
  readonly line: number
  /** The lines of the function without the further lines of functions inside it: those are measured by themselves. */
  readonly ownLines: number
}

/** A name that a rule may care about, as it stands in the code: `Date.now`, `new Date()`, `setTimeout`, `any`. */
export interface Mention {
  readonly name: string
  readonly line: number
}

export interface SourceFile {
  /** Relative to the root of the repository, with slashes. */
  readonly path: string
  readonly text: string
  readonly lines: ReadonlyArray<string>
  /** Static, dynamic and type-only imports, and re-exports. */
  readonly imports: ReadonlyArray<Import>
  readonly functions: ReadonlyArray<FunctionSize>
  readonly mentions: ReadonlyArray<Mention>
  readonly comments: ReadonlyArray<Comment & { readonly line: number }>
  /** Kinds of the statements at the top: `ExportAllDeclaration`, ... */
  readonly statements: ReadonlyArray<string>
}

const lineFinder = (text: string): ((offset: number) => number) => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return (offset) => {
    const after = starts.findIndex((start) => start > offset)
    return after === -1 ? starts.length : after
  }
}

type Parsed = ReturnType<typeof parseSync>

const importsOf = (
  parsed: Parsed,
  text: string,
  lineOf: (offset: number) => number
): ReadonlyArray<Import> => {
  const { staticImports, staticExports, dynamicImports } = parsed.module
  const literal = (request: Span): string => text.slice(request.start, request.end)
  return [
    ...staticImports.map(({ moduleRequest }) => moduleRequest),
    ...staticExports.flatMap(({ entries }) => entries.flatMap((entry) => entry.moduleRequest ?? [])),
    ...dynamicImports.map(({ moduleRequest }) => moduleRequest)
  ].map((request) => ({
    specifier: literal(request).replaceAll(/^["'`]|["'`]$/g, ""),
    line: lineOf(request.start)
  }))
}

/** Measures functions while the tree is walked: enter and leave come in pairs. */
const functionMeter = (lineOf: (offset: number) => number) => {
  const sizes: Array<FunctionSize> = []
  const open: Array<{ innerLines: number }> = []
  const enter = (): void => void open.push({ innerLines: 0 })
  const leave = ({ start, end }: Span): void => {
    const line = lineOf(start)
    const furtherLines = lineOf(end) - line
    sizes.push({ line, ownLines: 1 + furtherLines - (open.pop()?.innerLines ?? 0) })
    const outer = open.at(-1)
    if (outer !== undefined) outer.innerLines += furtherLines
  }
  return { sizes, enter, leave }
}

/** `globalThis.setTimeout` and `setTimeout` are one name. */
const withoutGlobal = (name: string): string => name.replace(/^(?:globalThis|global)\./, "")

const dottedName = (node: unknown): string | undefined => {
  if (typeof node !== "object" || node === null || !("type" in node)) return undefined
  if (node.type === "Identifier" && "name" in node) return String(node.name)
  if (node.type !== "MemberExpression" || !("object" in node) || !("property" in node)) return undefined
  const object = dottedName(node.object)
  const property = dottedName(node.property)
  return object === undefined || property === undefined ? undefined : `${object}.${property}`
}

export const parse = (path: string, text: string): SourceFile => {
  const parsed = parseSync(path, text)
  const [problem] = parsed.errors
  if (problem !== undefined) throw new SyntaxError(`${path}: ${problem.message}`)
  const lineOf = lineFinder(text)
  const meter = functionMeter(lineOf)
  const mentions: Array<Mention> = []
  const mention = (name: string | undefined, { start }: Span): void => {
    if (name !== undefined) mentions.push({ name: withoutGlobal(name), line: lineOf(start) })
  }
  new Visitor({
    ArrowFunctionExpression: meter.enter,
    "ArrowFunctionExpression:exit": meter.leave,
    FunctionDeclaration: meter.enter,
    "FunctionDeclaration:exit": meter.leave,
    FunctionExpression: meter.enter,
    "FunctionExpression:exit": meter.leave,
    MemberExpression: (node) => mention(dottedName(node), node),
    CallExpression: (node) => {
      if (node.callee.type === "Identifier") mention(node.callee.name, node)
    },
    NewExpression: (node) => {
      const name = dottedName(node.callee)
      if (name !== undefined && node.arguments.length === 0) mention(`new ${withoutGlobal(name)}()`, node)
    },
    TSAnyKeyword: (node) => mention("any", node)
  }).visit(parsed.program)
  return {
    path,
    text,
    lines: text.split("\n"),
    imports: importsOf(parsed, text, lineOf),
    functions: meter.sizes,
    mentions,
    comments: parsed.comments.map((comment) => ({ ...comment, line: lineOf(comment.start) })),
    statements: parsed.program.body.map(({ type }) => type)
  }
}
