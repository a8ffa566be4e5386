/**
 * What an archive says of one file, and the rules for names and paths that encoder and decoders share: a name
 * is one component, never empty, `.` or `..`, without `/` and NUL; paths and link targets are free of NUL;
 * none is over 4096 bytes.
 */
import type { Device, FileMetadata } from "../../model/FileMetadata.ts"
import { fail, type FormatName } from "../FormatError.ts"
import { PATH_LIMIT_BYTES } from "./Items.ts"

/** Where a file's content is: in the archive itself (version 1), or in the payload stream (version 2). */
export interface FileContent {
  readonly stream: "archive" | "payload"
  /** Of the first content byte in "archive"; of the PAYLOAD header before the content in "payload". */
  readonly offset: number
  readonly sizeBytes: number
}

export interface DirectoryEntry {
  readonly kind: "directory"
  readonly metadata: FileMetadata
}

export interface FileEntry {
  readonly kind: "file"
  readonly metadata: FileMetadata
  readonly content: FileContent
}

export interface SymlinkEntry {
  readonly kind: "symlink"
  readonly metadata: FileMetadata
  readonly target: Uint8Array
}

export interface DeviceEntry {
  readonly kind: "device-block" | "device-char"
  readonly metadata: FileMetadata
  readonly device: Device
}

export interface SpecialEntry {
  readonly kind: "fifo" | "socket"
  readonly metadata: FileMetadata
}

/** Another name of a file that stands earlier in the archive. */
export interface HardlinkEntry {
  readonly kind: "hardlink"
  /** Offset of the FILENAME item of the target, which is a regular file. */
  readonly targetFileOffset: number
  /** Path of the target below the root, for people; the offset is what counts. */
  readonly targetPath: Uint8Array
}

export type Entry = DirectoryEntry | FileEntry | SymlinkEntry | DeviceEntry | SpecialEntry | HardlinkEntry

const DOT = 0x2e
const SLASH = 0x2f

const quote = (name: Uint8Array): string => JSON.stringify(new TextDecoder().decode(name.subarray(0, 64)))

/** Fails unless `name` (without NUL) can be the name of a directory's child. */
export const checkName = (name: Uint8Array, offset: number, format: FormatName = "pxar archive"): void => {
  if (name.length === 0) fail(format, offset, "a file name", "an empty name")
  if (name.length > PATH_LIMIT_BYTES) {
    fail(format, offset, `a file name of at most ${PATH_LIMIT_BYTES} bytes`, `${name.length} bytes`)
  }
  for (let index = 0; index < name.length; index++) {
    if (name[index] === SLASH || name[index] === 0) {
      fail(format, offset, "a file name without slash and NUL", quote(name))
    }
  }
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) {
    fail(format, offset, "a file name other than . and ..", quote(name))
  }
}

/** Fails unless `path` (without NUL) can be the target of a link. */
export const checkPath = (path: Uint8Array, offset: number): void => {
  if (path.length > PATH_LIMIT_BYTES) {
    fail("pxar archive", offset, `a path of at most ${PATH_LIMIT_BYTES} bytes`, `${path.length} bytes`)
  }
  if (path.includes(0)) fail("pxar archive", offset, "a path without NUL", quote(path))
}

/** Strips the NUL that must end `content`. */
export const withoutTerminator = (content: Uint8Array, offset: number): Uint8Array => {
  const last = content.length - 1
  if (content[last] !== 0) fail("pxar archive", offset + last, "a NUL", `byte ${content[last]}`)
  return content.subarray(0, last)
}
