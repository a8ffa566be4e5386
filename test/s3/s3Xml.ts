/** The little XML that S3 speaks: elements with text, and the one document that a client sends. */
import { S3Failure } from "./S3Failure.ts"
import { encode } from "./signatureV4.ts"

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;"
}

export const escapeText = (text: string): string =>
  text.replaceAll(/[&<>"\r]/g, (character) => escapes[character] ?? character)

/** An element whose text is escaped. */
export const element = (name: string, text: string | number | boolean): string =>
  `<${name}>${escapeText(String(text))}</${name}>`

/** An element around others. */
export const group = (name: string, ...elements: ReadonlyArray<string>): string =>
  `<${name}>${elements.join("")}</${name}>`

export const documentOf = (name: string, ...elements: ReadonlyArray<string>): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="${namespace}">${elements.join("")}</${name}>`

export const failureDocument = (
  { code, message, fields }: S3Failure,
  resource: string,
  requestId: string
): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${group(
    "Error",
    element("Code", code),
    element("Message", message),
    ...Object.entries(fields).map(([name, text]) => element(name, text)),
    element("Resource", resource),
    element("RequestId", requestId)
  )}`

/** A key as `encoding-type=url` gives it: as in forms, but slashes stay. */
export const encodeKey = (key: string): string =>
  encode(key).replaceAll("%20", "+").replaceAll("%2F", "/").replaceAll("%2A", "*")

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const unescapeText = (text: string): string =>
  text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hexadecimal, decimal, name) => {
    if (hexadecimal !== undefined) return String.fromCodePoint(Number.parseInt(hexadecimal, 16))
    return decimal === undefined ? (entities[name] ?? whole) : String.fromCodePoint(Number(decimal))
  })

/** What a batch of deletions asks for. */
export const parseDelete = (
  text: string
): { readonly keys: ReadonlyArray<string>; readonly isQuiet: boolean } => {
  const keys = [...text.matchAll(/<Object>\s*<Key>([^<]*)<\/Key>\s*<\/Object>/g)].map(([, key = ""]) =>
    unescapeText(key)
  )
  const isWhole = /<Delete[\s>][^]*<\/Delete>\s*$/.test(text)
  if (
    !isWhole ||
    keys.length === 0 ||
    keys.length > 1000 ||
    keys.length !== text.split("<Object>").length - 1
  ) {
    const message =
      "The XML you provided was not well-formed or did not validate against our published schema"
    throw new S3Failure("MalformedXML", message)
  }
  return { keys, isQuiet: /<Quiet>\s*true\s*<\/Quiet>/.test(text) }
}
