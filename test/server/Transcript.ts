/**
 * Transcript: recorded traffic of Proxmox Backup Server's own client, as it lies in `transcripts/`: connections with
 * their requests in the order in which they were sent, each with what was answered.
 */
import { readFileSync } from "node:fs"
import * as path from "node:path"

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** The lines below the request: a JSON body, or what a binary one was. */
  readonly body: string
  /** What follows `< [n] ` or `< HTTP/1.1 `. */
  answer: string
}

export interface Connection {
  /** The request of HTTP/1.1 with which it begins. */
  readonly opening: Recorded
  readonly calls: ReadonlyArray<Recorded>
}

const split = (target: string): { readonly path: string; readonly query: URLSearchParams } => {
  const [pathPart = "", query = ""] = target.split("?")
  return { path: pathPart, query: new URLSearchParams(query) }
}

interface Reading {
  readonly connections: Array<{ readonly opening: Recorded; readonly calls: Array<Recorded> }>
  streams: Map<string, Recorded>
}

/** The lines that belong to the one before: indented by three blanks. */
const following = (lines: ReadonlyArray<string>, index: number, sign: string): string => {
  const found: Array<string> = []
  for (let at = index + 1; lines[at]?.startsWith(`${sign}   `) === true; at++)
    found.push(lines[at]?.slice(2).trim() ?? "")
  return found.join("\n")
}

const takeLine = (reading: Reading, lines: ReadonlyArray<string>, index: number): void => {
  const line = lines[index] ?? ""
  const current = reading.connections.at(-1)
  const opening = /^> (GET|POST|PUT|DELETE) (\S+) HTTP\/1\.1$/.exec(line)
  const call = /^> \[(\d+)\] (GET|POST|PUT|DELETE) (\S+) /.exec(line)
  const answered = /^< (?:\[(\d+)\]|HTTP\/1\.1) (.*)$/.exec(line)
  if (opening !== null) {
    const [, method = "", target = ""] = opening
    const body = following(lines, index, ">")
    reading.connections.push({ opening: { method, ...split(target), body, answer: "" }, calls: [] })
    reading.streams = new Map()
  } else if (call !== null && current !== undefined) {
    const [, stream = "", method = "", target = ""] = call
    const recorded = { method, ...split(target), body: following(lines, index, ">"), answer: "" }
    current.calls.push(recorded)
    reading.streams.set(stream, recorded)
  } else if (answered !== null && current !== undefined) {
    const [, stream, text = ""] = answered
    const recorded = stream === undefined ? current.opening : reading.streams.get(stream)
    if (recorded !== undefined) recorded.answer = `${text}\n${following(lines, index, "<")}`.trim()
  }
}

export const read = (name: string): ReadonlyArray<Connection> => {
  const lines = readFileSync(path.join(import.meta.dirname, "transcripts", name), "utf8").split("\n")
  const reading: Reading = { connections: [], streams: new Map() }
  for (const index of lines.keys()) takeLine(reading, lines, index)
  return reading.connections
}
