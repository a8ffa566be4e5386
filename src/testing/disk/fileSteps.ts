/**
 * fileSteps: the operations of Files that take several system calls, as lists of such calls on a memory disk, in the
 * order in which `NodeFiles` makes them; and what each of them removes again when a call fails.
 */
import * as path from "node:path"
import type { WriteOptions } from "../../platform/Files.ts"
import type { MemoryDisk } from "../MemoryDisk.ts"

/** What somebody who makes folders without saying how usually gets. */
export const usualDirectoryMode = 0o777 & ~0o022
const usualFileMode = 0o644

const letters = "abcdefghijklmnopqrstuvwxyz"
const letterCount = 6

const lettersOf = (number: number): string => {
  let text = ""
  for (let rest = number; text.length < letterCount; rest = Math.floor(rest / letters.length)) {
    text = letters.charAt(rest % letters.length) + text
  }
  return text
}

export const temporaryNameOf = (disk: MemoryDisk, target: string, program?: string): string => {
  const extension = path.extname(target)
  const stem = extension === "" ? target : target.slice(0, -extension.length)
  return `${stem}.tmp_${lettersOf(disk.takeNumber(program))}`
}

const directoryOf = (target: string): string => {
  const end = target.lastIndexOf("/")
  return end <= 0 ? "/" : target.slice(0, end)
}

/** One system call of an operation that takes several. */
interface Step {
  readonly name: string
  readonly run: (nowMillis: number) => void
}

export interface Steps {
  readonly steps: ReadonlyArray<Step>
  /** Undoes what stays of an operation whose step failed; undefined when nothing does. */
  readonly cleaning?: (nowMillis: number) => (() => void) | undefined
}

/** Steps that write a new file; `isThere` tells whether there is something to remove. */
const writeSteps = (disk: MemoryDisk, target: string, content: Uint8Array, options: WriteOptions) => {
  let number = -1
  const steps: Array<Step> = [
    { name: "create", run: (now) => (number = disk.create(target, options.mode ?? usualFileMode, now)) },
    { name: "write", run: (now) => disk.append(number, content, now) }
  ]
  if (options.sync === true) steps.push({ name: "flush", run: () => disk.syncFile(number) })
  return { steps, isThere: () => number !== -1 }
}

export const createSteps = (
  disk: MemoryDisk,
  target: string,
  content: Uint8Array,
  options: WriteOptions
): Steps => {
  const { steps, isThere } = writeSteps(disk, target, content, options)
  if (options.sync === true) {
    steps.push({ name: "flush directory", run: () => disk.syncDirectory(directoryOf(target)) })
  }
  return { steps, cleaning: (now) => (isThere() ? () => disk.unlink(target, now) : undefined) }
}

export const replaceSteps = (
  disk: MemoryDisk,
  target: string,
  content: Uint8Array,
  options: WriteOptions & { readonly program: string | undefined }
): Steps => {
  const temporary = temporaryNameOf(disk, target, options.program)
  const { steps, isThere } = writeSteps(disk, temporary, content, options)
  steps.push({ name: "rename", run: (now) => disk.rename(temporary, target, now) })
  if (options.sync === true) {
    steps.push({ name: "flush directory", run: () => disk.syncDirectory(directoryOf(target)) })
  }
  // After the rename nothing has the temporary name any more, so nothing can be removed by mistake.
  return { steps, cleaning: (now) => (isThere() ? () => disk.unlink(temporary, now) : undefined) }
}

export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  parts.length === 1 ? (parts[0] ?? new Uint8Array(0)) : Buffer.concat(parts)

/** One folder after the other; what was made before one that fails stays. */
export const directorySteps = (
  disk: MemoryDisk,
  parent: string,
  names: ReadonlyArray<string>,
  mode: number
): Steps => ({
  steps: names.map((name) => ({
    name,
    run: (now) => disk.makeDirectory(`${parent}/${name}`, mode, now)
  }))
})
