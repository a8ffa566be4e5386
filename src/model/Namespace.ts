/**
 * A namespace inside a datastore: `""` is the root, `"team/dev"` the namespace `dev` in the namespace `team`.
 *
 * On disk every component is preceded by a folder `ns`, which keeps namespaces apart from the backup types
 * beside them: `team/dev` lies in `ns/team/ns/dev`. At most seven components and 256 characters.
 */
import type * as Brand from "effect/Brand"
import { refuse } from "./InvalidName.ts"
import * as SafeId from "./SafeId.ts"

export type Namespace = string & Brand.Brand<"Namespace">

/** The root has depth 0. */
export const depthMax = 7

export const lengthMax = 256

const kind = "namespace"

const brand = (text: string): Namespace => text as Namespace

export const root: Namespace = brand("")

/** The names from the root down; none for the root itself. */
export const components = (namespace: Namespace): ReadonlyArray<string> =>
  namespace === "" ? [] : namespace.split("/")

export const depth = (namespace: Namespace): number => components(namespace).length

export const parse = (text: string): Namespace => {
  if (text === "") return root
  if (text.length > lengthMax) return refuse(kind, text, `at most ${lengthMax} characters`)
  const names = text.split("/")
  if (names.length > depthMax) return refuse(kind, text, `at most ${depthMax} components`)
  for (const name of names) {
    if (!SafeId.isSafeId(name)) return refuse(kind, text, `components joined by "/", each ${SafeId.rule}`)
  }
  return brand(text)
}

export const child = (namespace: Namespace, name: string): Namespace => {
  SafeId.check("namespace component", name)
  return parse(namespace === "" ? name : `${namespace}/${name}`)
}

/** The namespace around this one; the root has none. */
export const parent = (namespace: Namespace): Namespace | undefined => {
  if (namespace === "") return undefined
  const slash = namespace.lastIndexOf("/")
  return slash === -1 ? root : brand(namespace.slice(0, slash))
}

/** Whether `namespace` is `ancestor` or lies below it. */
export const isWithin = (namespace: Namespace, ancestor: Namespace): boolean =>
  ancestor === "" || namespace === ancestor || namespace.startsWith(`${ancestor}/`)

/** The folder of the namespace, relative to the datastore; `""` for the root. */
export const toPath = (namespace: Namespace): string =>
  components(namespace)
    .map((name) => `ns/${name}`)
    .join("/")

/** Puts the folder of a namespace before a relative path. */
export const joinPath = (namespace: Namespace, path: string): string =>
  namespace === "" ? path : `${toPath(namespace)}/${path}`
