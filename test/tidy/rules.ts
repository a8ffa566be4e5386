/**
 * The house rules that a machine can check, apart from layers. A rule takes files and answers what is wrong with
 * them, one line each: `path:line: what`.
 */
import type { SourceFile } from "./SourceFile.ts"

export type Rule = (files: ReadonlyArray<SourceFile>) => ReadonlyArray<string>

const fileLinesMax = 400
const functionLinesMax = 70
const lineWidthMax = 120

const isIn = (file: SourceFile, ...folders: ReadonlyArray<string>): boolean =>
  folders.some((folder) => file.path.startsWith(`src/${folder}/`))

/** The first thing in a file is a comment of one sentence or more; a program may have its `#!` line before it. */
export const header: Rule = (files) =>
  files.flatMap(({ path, text }) => {
    const comment = /^(?:#!.*\n)?(?:\/\*\*([^]*?)\*\/|((?:\/\/.*\n)+))/.exec(text)
    const words = (comment?.[1] ?? comment?.[2] ?? "").replaceAll(/^[\s*/]+/gm, "")
    return /\S+ \S+ \S+.*[.:](?:\s|$)/s.test(words) ? [] : [`${path}:1: no header paragraph`]
  })

export const fileSize: Rule = (files) =>
  files.flatMap(({ path, lines }) => {
    const count = lines.length - (lines.at(-1) === "" ? 1 : 0)
    return count > fileLinesMax ? [`${path}:1: ${count} lines, at most ${fileLinesMax}`] : []
  })

export const functionSize: Rule = (files) =>
  files.flatMap(({ path, functions }) =>
    functions
      .filter(({ ownLines }) => ownLines > functionLinesMax)
      .map(
        ({ line, ownLines }) =>
          `${path}:${line}: a function of ${ownLines} lines, at most ${functionLinesMax}`
      )
  )

/** What a generator wrote says so to the formatter, and may be as wide as it is. */
export const lineWidth: Rule = (files) =>
  files.flatMap(({ path, text, lines }) =>
    text.includes("\n// oxfmt-ignore\n")
      ? []
      : lines.flatMap(({ length }, index) =>
          length > lineWidthMax ? [`${path}:${index + 1}: ${length} columns, at most ${lineWidthMax}`] : []
        )
  )

const timeAndChance =
  /^(?:Date\.now|Math\.random|performance\.now|new Date\(\)|set(?:Timeout|Interval|Immediate))$/
const processAndConsole = /^(?:process\.(?:exit|exitCode|abort)|console\.\w+)$/

export const globals: Rule = (files) =>
  files.flatMap((file) =>
    file.mentions
      .filter(
        ({ name }) =>
          (timeAndChance.test(name) && !isIn(file, "platform")) ||
          (processAndConsole.test(name) && !isIn(file, "cli"))
      )
      .map(({ name, line }) => `${file.path}:${line}: ${name}`)
  )

const machineModules = /^(?:node:)?(?:fs|worker_threads|child_process|net|http|https|timers)(?:\/|$)/

/** Stores and everything below them touch the machine through the ports in `platform` only. */
export const machineImports: Rule = (files) =>
  files.flatMap((file) =>
    isIn(file, "model", "format", "chunking", "objectstore", "store", "datastore", "verify")
      ? file.imports
          .filter(({ specifier }) => machineModules.test(specifier))
          .map(({ specifier, line }) => `${file.path}:${line}: imports ${specifier}`)
      : []
  )

/** Effect by subpath, because that starts faster; our own files with their extension, because Node wants it. */
export const importForm: Rule = (files) =>
  files.flatMap((file) =>
    file.imports
      .filter(({ specifier }) =>
        specifier.startsWith(".") ? !specifier.endsWith(".ts") : /^(?:effect|@effect\/[^/]+)$/.test(specifier)
      )
      .map(({ specifier, line }) => `${file.path}:${line}: imports "${specifier}"`)
  )

export const barrel: Rule = (files) =>
  files
    .filter(({ path }) => path === "src/index.ts")
    .flatMap(({ path, statements }) =>
      statements.filter((kind) => kind !== "ExportAllDeclaration").map((kind) => `${path}:1: ${kind}`)
    )

export const typesHeld: Rule = (files) =>
  files.flatMap(({ path, mentions, comments }) => [
    ...mentions.filter(({ name }) => name === "any").map(({ line }) => `${path}:${line}: any`),
    ...comments
      .filter(({ value }) => /@ts-(?:ignore|nocheck)/.test(value))
      .map(({ line, value }) => `${path}:${line}: ${value.trim()}`)
  ])

export const leftovers: Rule = (files) =>
  files.flatMap(({ path, mentions, comments }) => [
    ...mentions
      .filter(({ name }) => /^(?:it|test|describe|layer)(?:\.\w+)*\.only\b/.test(name))
      .map(({ name, line }) => `${path}:${line}: ${name}`),
    ...comments
      .filter(({ value }) => /\b(?:TODO|FIXME|XXX)\b/.test(value))
      .map(({ line, value }) => `${path}:${line}: ${value.trim()}`)
  ])

export interface TextFile {
  readonly path: string
  readonly text: string
}

/** What is true on one machine only: the folder of this checkout, addresses in the lock file. */
export const machinePaths = (files: ReadonlyArray<TextFile>, checkout: string): ReadonlyArray<string> =>
  files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => {
      const place = `${path}:${index + 1}: `
      if (line.includes(checkout)) return [`${place}the path of a checkout`]
      if (path.endsWith("package-lock.json") && /"resolved":|"(?:file|link|git\+\w+):/.test(line))
        return [place + line.trim()]
      return path.endsWith(".npmrc") && /registry\s*=|_auth/.test(line) ? [`${place}a registry`] : []
    })
  )
