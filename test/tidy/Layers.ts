/**
 * Layers: who may import whom. A folder of `src` imports from itself and from folders of lower rank only;
 * folders of one rank do not know each other. No chain of imports leads back to where it began, types included.
 */
import * as path from "node:path"
import type { SourceFile } from "./SourceFile.ts"

const ranks: ReadonlyArray<ReadonlyArray<string>> = [
  ["model"],
  ["format", "chunking"],
  ["platform"],
  ["objectstore"],
  ["store", "config"],
  ["datastore"],
  ["backup", "restore", "verify", "gc", "prune", "inspect", "refresh"],
  ["datastores"],
  ["sync", "vfs"],
  ["remote"],
  ["fuse", "webdav", "server"],
  ["cli", "promises"],
  ["index"]
]

/** The folder below `src`, or the name of a file that lies in `src` itself. */
const layerOf = (file: string): string => (file.split("/")[1] ?? "").replace(/\.ts$/, "")

const rankOf = (layer: string): number => ranks.findIndex((layers) => layers.includes(layer))

const targetsOf = (file: SourceFile) =>
  file.imports.flatMap(({ specifier, line }) =>
    specifier.startsWith(".")
      ? [{ line, target: path.posix.join(path.posix.dirname(file.path), specifier) }]
      : []
  )

/** The public test kit stands outside of the ranks: it may import all, and nothing in `src` imports it. */
export const layering = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> =>
  files.flatMap((file) =>
    targetsOf(file).flatMap(({ line, target }) => {
      const [from, to] = [layerOf(file.path), layerOf(target)]
      if (from === to) return []
      const place = `${file.path}:${line}: ${from} imports ${to}`
      if (!target.startsWith("src/")) return [`${file.path}:${line}: imports ${target}`]
      if (to === "testing") return [`${place}, which is for tests`]
      if (from === "testing") return []
      if (rankOf(from) === -1 || rankOf(to) === -1) return [`${place}; one of them has no rank`]
      return rankOf(from) > rankOf(to) ? [] : [place]
    })
  )

/** Every cycle once, told from the file at which the walk met it first. */
export const cycles = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const graph = new Map(files.map((file) => [file.path, targetsOf(file).map(({ target }) => target)]))
  const done = new Set<string>()
  const found: Array<string> = []
  const walk = (file: string, trail: ReadonlyArray<string>): void => {
    const start = trail.indexOf(file)
    if (start !== -1) return void found.push([...trail.slice(start), file].join(" -> "))
    if (done.has(file)) return
    for (const target of graph.get(file) ?? []) walk(target, [...trail, file])
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  return found
}
