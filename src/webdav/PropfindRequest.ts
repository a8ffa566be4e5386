/**
 * PropfindRequest: which properties a client asks for in the body of a PROPFIND (RFC 4918, sections 9.1 and 14).
 *
 * No body asks for all. Elements that the standard does not know are passed over, as it wants; what is no well-formed
 * document is refused, and so is one that declares a document type, which no client has a use for.
 */
import * as Effect from "effect/Effect"
import * as Xml from "effect/encoding/Xml"
import * as Stream from "effect/Stream"

export interface PropertyName {
  readonly namespace: string
  readonly name: string
}

export type Wanted =
  | { readonly kind: "all" }
  | { readonly kind: "names" }
  | { readonly kind: "some"; readonly properties: ReadonlyArray<PropertyName> }

export const davNamespace = "DAV:"

const depthMax = 32
const propertiesMax = 256

/** Prefixes and what they stand for; the empty one is what names without a prefix belong to. */
type Scope = ReadonlyMap<string, string>

const outermost: Scope = new Map([["", ""]])

const reserved = ["http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"]

const scopeOf = (outer: Scope, { attributes }: Xml.Element): Scope => {
  const declared = Object.entries(attributes).flatMap(([name, value]) => {
    const [, prefix] = /^xmlns(?::(.+))?$/.exec(name) ?? [undefined, undefined]
    return name === "xmlns" || prefix !== undefined ? [[prefix ?? "", value] as const] : []
  })
  return declared.length === 0 ? outer : new Map([...outer, ...declared])
}

/** Undefined when its prefix was not declared, or as nothing, or as what only XML itself may mean. */
const nameOf = (scope: Scope, { name: written }: Xml.Element): PropertyName | undefined => {
  const [first = "", second, ...more] = written.split(":")
  const [prefix, name] = second === undefined ? ["", first] : [first, second]
  const namespace = scope.get(prefix)
  if (namespace === undefined || name === "" || more.length > 0) return undefined
  if (reserved.includes(namespace)) return undefined
  return prefix !== "" && namespace === "" ? undefined : { namespace, name }
}

interface Child {
  readonly name: PropertyName
  readonly scope: Scope
  readonly element: Xml.Element
}

const childrenOf = (scope: Scope, { children }: Xml.Element): ReadonlyArray<Child> | undefined => {
  const found: Array<Child> = []
  for (const element of children) {
    if (typeof element === "string") continue
    const inner = scopeOf(scope, element)
    const name = nameOf(inner, element)
    if (name === undefined) return undefined
    found.push({ name, scope: inner, element })
  }
  return found
}

/** The root and at most what it holds: undefined when the document asks for nothing that can be understood. */
const wantedBy = (document: Xml.Element): Wanted | undefined => {
  const [root] = childrenOf(outermost, { name: "", attributes: {}, children: [document] }) ?? []
  if (root?.name.namespace !== davNamespace || root.name.name !== "propfind") return undefined
  const children = childrenOf(root.scope, root.element)
  const asked = children?.find(
    ({ name }) => name.namespace === davNamespace && ["prop", "propname", "allprop"].includes(name.name)
  )
  if (asked === undefined) return undefined
  if (asked.name.name === "allprop") return { kind: "all" }
  if (asked.name.name === "propname") return { kind: "names" }
  const properties = childrenOf(asked.scope, asked.element)?.map(({ name }) => name)
  if (properties === undefined || properties.length > propertiesMax) return undefined
  return { kind: "some", properties }
}

const elementsOf = (body: Uint8Array) =>
  Stream.make(body).pipe(
    Stream.pipeThroughChannel(Xml.decode({ maxTokenSize: body.length + 1, maxDepth: depthMax })),
    Stream.mapEffect((event) =>
      event._tag === "Doctype"
        ? Effect.fail(new Xml.XmlError({ kind: "Unsupported", message: "" }))
        : Effect.succeed(event)
    ),
    Stream.pipeThroughChannel(Xml.elements(["*"])),
    Stream.runCollect
  )

/** Undefined when it cannot be understood. */
export const parse = (body: Uint8Array): Effect.Effect<Wanted | undefined> => {
  if (body.length === 0) return Effect.succeed({ kind: "all" })
  return elementsOf(body).pipe(
    Effect.map(([document]) => (document === undefined ? undefined : wantedBy(document))),
    Effect.catch(() => Effect.succeed(undefined))
  )
}
