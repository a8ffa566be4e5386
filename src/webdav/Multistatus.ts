/**
 * Multistatus: what a PROPFIND is answered with (RFC 4918, section 13), piece by piece, so that a directory of any size
 * is never one text.
 *
 * A name that is not UTF-8 has its exact bytes in `href`, which is what clients go by; in `displayname`, which people
 * see, whatever XML cannot hold becomes U+FFFD.
 */
import type { Attributes } from "../vfs/Vfs.ts"
import { contentType } from "./ContentType.ts"
import { davNamespace, type PropertyName, type Wanted } from "./PropfindRequest.ts"
import * as RequestPath from "./RequestPath.ts"
import * as Validators from "./Validators.ts"

export interface Described {
  readonly names: ReadonlyArray<Uint8Array>
  readonly attributes: Attributes
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Text in XML 1.0 and HTML: characters that neither may have become U+FFFD. */
export const escape = (text: string): string =>
  text
    .toWellFormed()
    // oxlint-disable-next-line no-control-regex -- these are what XML has no way to write
    .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, "\uFFFD")
    .replaceAll(/[&<>"']/g, (character) => entities[character] ?? character)

/** A name as people see it. */
export const shownName = (name: Uint8Array): string => new TextDecoder().decode(name)

const isDirectory = ({ kind }: Attributes): boolean => kind === "directory"

type Property = (described: Described, treeTag: string) => string | undefined

const ofFile =
  (property: (described: Described, treeTag: string) => string | undefined): Property =>
  (described, treeTag) =>
    isDirectory(described.attributes) ? undefined : property(described, treeTag)

const executeBits = 0o111

const properties: ReadonlyArray<PropertyName & { readonly valueOf: Property }> = [
  {
    namespace: davNamespace,
    name: "resourcetype",
    valueOf: ({ attributes }) => (isDirectory(attributes) ? "<D:collection/>" : "")
  },
  {
    namespace: davNamespace,
    name: "displayname",
    valueOf: ({ names }) => escape(shownName(names.at(-1) ?? new Uint8Array()))
  },
  {
    namespace: davNamespace,
    name: "getcontentlength",
    valueOf: ofFile(({ attributes }) => String(attributes.sizeBytes))
  },
  {
    namespace: davNamespace,
    name: "getlastmodified",
    valueOf: ({ attributes }, treeTag) => Validators.of(attributes, treeTag).lastModified
  },
  {
    namespace: davNamespace,
    name: "getetag",
    valueOf: ofFile(({ attributes }, treeTag) => escape(Validators.of(attributes, treeTag).etag))
  },
  {
    namespace: davNamespace,
    name: "getcontenttype",
    valueOf: ofFile(({ names }) => contentType(names.at(-1) ?? new Uint8Array()))
  },
  {
    // Apache's: the only way to say that a file is a program.
    namespace: "http://apache.org/dav/props/",
    name: "executable",
    valueOf: ofFile(({ attributes }) => ((attributes.mode & executeBits) === 0 ? "F" : "T"))
  }
]

const propstat = (content: string, status: string): string =>
  content === ""
    ? ""
    : `<D:propstat><D:prop>${content}</D:prop><D:status>HTTP/1.1 ${status}</D:status></D:propstat>`

const element = ({ name, namespace }: PropertyName, value: string): string => {
  const [tag, declaration] =
    namespace === davNamespace ? [`D:${name}`, ""] : [`P:${name}`, ` xmlns:P="${escape(namespace)}"`]
  // A prefix cannot stand for no namespace.
  if (namespace === "") return value === "" ? `<${name}/>` : `<${name}>${value}</${name}>`
  return value === "" ? `<${tag}${declaration}/>` : `<${tag}${declaration}>${value}</${tag}>`
}

/** All that was asked for, each with how it is found; undefined for what no file has. */
const plan = (wanted: Wanted): ReadonlyArray<PropertyName & { readonly valueOf: Property | undefined }> =>
  wanted.kind !== "some"
    ? properties
    : wanted.properties.map((asked) => ({
        ...asked,
        valueOf: properties.find(
          ({ name, namespace }) => name === asked.name && namespace === asked.namespace
        )?.valueOf
      }))

const opening = `<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">`
const closing = "</D:multistatus>\n"
const describedPerPiece = 256

/** The document in pieces. */
export function* render(wanted: Wanted, all: Iterable<Described>, treeTag: string): Generator<string> {
  const asked = plan(wanted)
  const responseOf = (described: Described): string => {
    let found = ""
    let missing = ""
    for (const property of asked) {
      const value = property.valueOf?.(described, treeTag)
      if (value !== undefined) found += element(property, wanted.kind === "names" ? "" : value)
      else if (wanted.kind === "some") missing += element(property, "")
    }
    const href = RequestPath.format(described.names, isDirectory(described.attributes))
    const answer = propstat(found, "200 OK") + propstat(missing, "404 Not Found")
    return `<D:response><D:href>${href}</D:href>${answer === "" ? propstat(" ", "200 OK") : answer}</D:response>`
  }
  let piece = opening
  let count = 0
  for (const described of all) {
    piece += responseOf(described)
    if (++count % describedPerPiece === 0) {
      yield piece
      piece = ""
    }
  }
  yield piece + closing
}
