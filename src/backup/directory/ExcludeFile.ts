/**
 * `.pxarexclude`: patterns for the directory that it is in and everything below, one a line. White space around a line
 * does not count, nor do empty lines and lines that begin with `#`. A line that is no pattern is a warning.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { InvalidName } from "../../model/InvalidName.ts"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Posix from "../../platform/Posix.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import { descriptorPath, O_PATH } from "./DirectoryListing.ts"

export const EXCLUDE_FILE_NAME = ".pxarexclude"

const SIZE_LIMIT_BYTES = 1024 * 1024
const NEWLINE = 0x0a
const HASH = 0x23

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0c || byte === 0x0d

/** Lines of a file, without white space around them. */
export function* linesOf(content: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < content.length;) {
    const newline = content.indexOf(NEWLINE, start)
    const next = newline < 0 ? content.length : newline + 1
    let end = newline < 0 ? content.length : newline
    while (start < end && isSpace(content[start])) start++
    while (start < end && isSpace(content[end - 1])) end--
    if (start < end && content[start] !== HASH) yield content.subarray(start, end)
    start = next
  }
}

/** Patterns of a file's content; `directory` is the folder it is in, relative to the root. */
export const parseExcludes = (
  content: Uint8Array,
  directory: Uint8Array,
  warn: (message: string) => void
): Array<PathPattern.PathPattern> => {
  const patterns: Array<PathPattern.PathPattern> = []
  for (const line of linesOf(content)) {
    try {
      patterns.push(PathPattern.parse(line, directory))
    } catch (error) {
      if (!(error instanceof InvalidName)) throw error
      warn(`${error.message}; the line was ignored`)
    }
  }
  return patterns
}

/**
 * Content of the exclude file of an open directory. It may be a symbolic link; what it leads to is opened only when it
 * is a regular file, because opening a device may do things.
 */
export const readExcludeFile = (
  directoryFd: number,
  warn: (message: string) => void
): Uint8Array | undefined => {
  const place = Posix.openAt(directoryFd, EXCLUDE_FILE_NAME, O_PATH)
  try {
    const { mode, sizeBytes } = Posix.statAt(place, "")
    if (kindOfMode(mode) !== "file") return undefined
    if (sizeBytes > SIZE_LIMIT_BYTES) {
      warn(`its ${sizeBytes} bytes of patterns were ignored: only ${SIZE_LIMIT_BYTES} are allowed`)
      return undefined
    }
    return readWhole(descriptorPath(place), sizeBytes)
  } finally {
    closeSync(place)
  }
}

const readWhole = (path: string, sizeBytes: number): Uint8Array => {
  const fd = openSync(path, "r")
  try {
    const content = new Uint8Array(sizeBytes)
    let length = 0
    for (let count = -1; count !== 0; length += count) {
      count = readSync(fd, content, length, sizeBytes - length, length)
    }
    return content.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

/** The patterns of the command line as they are recorded, each with a newline. */
export const recordedLines = (excludes: ReadonlyArray<PathPattern.PathPattern>): Uint8Array =>
  Buffer.concat(excludes.flatMap(({ text }) => [text, Uint8Array.of(0x0a)]))

/** The same as the prelude of a split archive; undefined when there are none. */
export const preludeOf = (excludes: ReadonlyArray<PathPattern.PathPattern>): Uint8Array | undefined =>
  excludes.length === 0
    ? undefined
    : Buffer.from(JSON.stringify({ "exclude-patterns": Buffer.from(recordedLines(excludes)).toString() }))
