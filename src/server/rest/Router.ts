/**
 * Router: which REST call a path means, and in which envelope its answer goes: that of `/api2/json`, or that of
 * `/api2/extjs`, which is always 200 and says inside what happened.
 */
import type { Route } from "../Call.ts"

export interface Entry<R> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  /** Such as `/admin/datastore/{store}/groups`, below `/api2/json`. */
  readonly pattern: string
  readonly route: Route<R>
}

export interface Found<R> {
  readonly route: Route<R>
  readonly placeholders: ReadonlyMap<string, string>
}

export type Format = "json" | "extjs"

const componentsOf = (path: string): ReadonlyArray<string> => path.split("/").filter((part) => part !== "")

const placeholderOf = (part: string): string | undefined => /^\{([a-z-]+)\}$/.exec(part)?.[1]

/** The placeholders' values; undefined when the path is another one. */
const match = (pattern: string, names: ReadonlyArray<string>): ReadonlyMap<string, string> | undefined => {
  const parts = componentsOf(pattern)
  if (parts.length !== names.length) return undefined
  const values = new Map<string, string>()
  for (const [index, part] of parts.entries()) {
    const name = names[index] ?? ""
    const placeholder = placeholderOf(part)
    if (placeholder !== undefined) values.set(placeholder, name)
    else if (part !== name) return undefined
  }
  return values
}

/** In which envelope a path wants its answer, and what is left of the path; undefined for paths of nobody. */
export const split = (path: string): { readonly format: Format; readonly rest: string } | undefined => {
  const [, format, rest = ""] = /^\/api2\/(json|extjs)(\/.*)?$/.exec(path) ?? []
  return format === "json" || format === "extjs" ? { format, rest: rest === "" ? "/" : rest } : undefined
}

export const find = <R>(
  entries: ReadonlyArray<Entry<R>>,
  method: string,
  path: string
): Found<R> | undefined => {
  const names = componentsOf(path)
  for (const { method: wanted, pattern, route } of entries) {
    const placeholders = wanted === method ? match(pattern, names) : undefined
    if (placeholders !== undefined) return { route, placeholders }
  }
  return undefined
}
