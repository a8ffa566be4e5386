/**
 * The payload stream of a version 2 archive: an empty PAYLOAD_START_MARKER item, the contents of files, each
 * a PAYLOAD item that the archive stream refers to by the offset of its header, with anything between them,
 * and an empty PAYLOAD_TAIL_MARKER item. There is no way to read it without the archive stream.
 */
import { ByteReader } from "../ByteReader.ts"
import { fail } from "../FormatError.ts"
import * as Items from "./Items.ts"

const readHeader = (bytes: Uint8Array, offset: number, wanted: Items.Item): number => {
  const reader = new ByteReader("pxar archive", bytes, offset)
  const header = reader.take(Items.HEADER_BYTES, `the header of ${wanted.name}`)
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const { contentBytes, item } = Items.readHeader(view, 0, offset)
  return item === wanted ? contentBytes : fail("pxar archive", offset, wanted.name, item.name)
}

/** Fails unless `bytes` begin with the header that a payload stream begins with. */
export const checkPayloadStart = (bytes: Uint8Array): void => {
  readHeader(bytes, 0, Items.PAYLOAD_START_MARKER)
}

/** Checks the header, read from `offset`, of a content that should have `sizeBytes`. */
export const checkPayloadHeader = (bytes: Uint8Array, offset: number, sizeBytes: number): void => {
  const found = readHeader(bytes, offset, Items.PAYLOAD)
  if (found !== sizeBytes) fail("pxar archive", offset, `a payload of ${sizeBytes} bytes`, `${found} bytes`)
}
