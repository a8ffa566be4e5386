/**
 * The FILENAME item that stands before every entry but the root's.
 *
 * Invariant: what is answered is a name that a system could have: one component, never empty, `.` or `..`, and the item
 * lies before the limit that the directory sets. The name is a copy: it keeps no bytes of the archive alive.
 */
import { fail } from "../FormatError.ts"
import { checkName, withoutTerminator } from "./Entry.ts"
import * as Items from "./Items.ts"

export interface FileName {
  readonly name: Uint8Array
  /** Of the item behind the name. */
  readonly entryStart: number
}

/**
 * Decodes the item at `fileOffset`, with which `bytes` begin and which has to end before `limitOffset`. Answers with a
 * number when it needs that many bytes.
 */
export const decodeFileName = (
  bytes: Uint8Array,
  fileOffset: number,
  limitOffset: number
): FileName | number => {
  const roomBytes = limitOffset - fileOffset
  if (roomBytes < Items.HEADER_BYTES)
    fail("pxar archive", fileOffset, "a FILENAME item", `${roomBytes} bytes`)
  if (bytes.length < Items.HEADER_BYTES) return Items.HEADER_BYTES
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { contentBytes, item } = Items.readHeader(view, 0, fileOffset)
  const itemBytes = Items.HEADER_BYTES + contentBytes
  if (item !== Items.FILENAME) fail("pxar archive", fileOffset, "a FILENAME item", item.name)
  if (itemBytes > roomBytes) {
    fail("pxar archive", fileOffset, `a FILENAME item that ends before ${limitOffset}`, `${itemBytes} bytes`)
  }
  if (itemBytes > bytes.length) return itemBytes
  const nameOffset = fileOffset + Items.HEADER_BYTES
  const name = withoutTerminator(bytes.subarray(Items.HEADER_BYTES, itemBytes), nameOffset).slice()
  checkName(name, nameOffset)
  return { name, entryStart: fileOffset + itemBytes }
}
