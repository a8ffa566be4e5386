/**
 * Where a key lies in a folder that serves as a bucket, and back. Pure text.
 *
 * A bucket has both `a` and `a/b`, a file system has not: so an object is a folder `a.object` with the body in it, and
 * what lies below is in `a.folder`. Every name ends in one of these endings, hence no name can be `.`, `..` or a
 * temporary name, and nothing needs to be escaped. A segment of up to 255 bytes leaves no room for an ending: long
 * ones are cut into pieces, where all but the last are folders `piece.more`.
 *
 * Invariant: `componentOf` undoes one component; two keys never share a path.
 */
import type { ObjectKey } from "./ObjectKey.ts"

export const objectEnding = ".object"
export const folderEnding = ".folder"
export const moreEnding = ".more"

/** The file in an object's folder that holds the body. */
export const bodyName = "content"

const pieceMaxBytes = 240

/** Cuts between characters, never inside one. */
const piecesOf = (segment: string): ReadonlyArray<string> => {
  if (Buffer.byteLength(segment) <= pieceMaxBytes) return [segment]
  const pieces: Array<string> = []
  let piece = ""
  for (const character of segment) {
    if (Buffer.byteLength(piece + character) > pieceMaxBytes) {
      pieces.push(piece)
      piece = ""
    }
    piece += character
  }
  return [...pieces, piece]
}

const segmentPath = (segment: string, ending: string): string => {
  const pieces = piecesOf(segment)
  return pieces.map((piece, index) => piece + (index < pieces.length - 1 ? moreEnding : ending)).join("/")
}

/** The object's folder, relative to the folder of all objects. */
export const objectPath = (key: ObjectKey): string => {
  const segments = key.split("/")
  return segments
    .map((segment, index) => segmentPath(segment, index < segments.length - 1 ? folderEnding : objectEnding))
    .join("/")
}

/** The folders that hold what begins with a prefix, outermost first; none for the empty prefix. */
export const prefixPath = (prefix: string): string =>
  prefix === ""
    ? ""
    : prefix
        .slice(0, -1)
        .split("/")
        .map((segment) => `/${segmentPath(segment, folderEnding)}`)
        .join("")

export type Component =
  | { readonly kind: "object" | "folder" | "more"; readonly text: string }
  | { readonly kind: "foreign" }

const endings = [
  ["object", objectEnding],
  ["folder", folderEnding],
  ["more", moreEnding]
] as const

/** What a name in the folder stands for. */
export const componentOf = (name: string): Component => {
  for (const [kind, ending] of endings) {
    if (name.endsWith(ending) && name.length > ending.length) {
      return { kind, text: name.slice(0, -ending.length) }
    }
  }
  return { kind: "foreign" }
}
