/** IndexPage: a directory as a page for browsers, piece by piece: names, sizes and times, with a way back up. */
import type { Attributes } from "../vfs/Vfs.ts"
import { escape, shownName } from "./Multistatus.ts"
import * as RequestPath from "./RequestPath.ts"
import type { Member } from "./Resource.ts"

const style =
  "body{font:14px sans-serif;margin:2em}td,th{padding:.1em 1em .1em 0;text-align:left}" +
  "td:nth-child(2){text-align:right;font-variant-numeric:tabular-nums}"

const timeOf = ({ mtimeSeconds }: Attributes): string => {
  const date = new Date(mtimeSeconds * 1000)
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 19).replace("T", " ")
}

const rowOf = ({ attributes, name }: Member): string => {
  const ending = attributes.kind === "directory" ? "/" : ""
  const size = attributes.kind === "directory" ? "" : String(attributes.sizeBytes)
  const link = `<a href="./${RequestPath.encodeName(name)}${ending}">${escape(shownName(name))}${ending}</a>`
  return `<tr><td>${link}</td><td>${size}</td><td>${timeOf(attributes)}</td></tr>\n`
}

const rowsPerPiece = 256

export function* render(names: ReadonlyArray<Uint8Array>, members: ReadonlyArray<Member>): Generator<string> {
  const title = escape(`/${names.map(shownName).join("/")}`)
  const up = names.length === 0 ? "" : `<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n`
  yield (
    `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
      `<style>${style}</style></head><body><h1>${title}</h1>\n<table>` +
      `<tr><th>Name</th><th>Bytes</th><th>Changed (UTC)</th></tr>\n${up}`
  )
  for (let at = 0; at < members.length; at += rowsPerPiece) {
    yield members
      .slice(at, at + rowsPerPiece)
      .map(rowOf)
      .join("")
  }
  yield "</table></body></html>\n"
}
