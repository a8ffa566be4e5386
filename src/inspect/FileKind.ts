/**
 * FileKind: what kind of file of a datastore or backup some bytes are, by how they begin. Names do not count: files get
 * renamed, and chunks have no extension at all.
 */
import { CATALOG_MAGIC } from "../format/Catalog.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import * as Items from "../format/pxar/Items.ts"

export type FileKind =
  | "blob"
  | "fixed-index"
  | "dynamic-index"
  | "catalog"
  | "pxar"
  | "pxar-payload"
  | "key-file"

const u64Bytes = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value, true)
  return bytes
}

const itemBytes = ({ low, high }: Items.Item): Uint8Array => u64Bytes((BigInt(high) << 32n) | BigInt(low))

const magics: ReadonlyArray<readonly [Uint8Array, FileKind]> = [
  ...Object.values(DataBlob.magics).map((magic) => [u64Bytes(magic), "blob"] as const),
  [u64Bytes(FixedIndex.magic), "fixed-index"],
  [u64Bytes(DynamicIndex.magic), "dynamic-index"],
  [CATALOG_MAGIC, "catalog"],
  [itemBytes(Items.ENTRY), "pxar"],
  [itemBytes(Items.ENTRY_V1), "pxar"],
  [itemBytes(Items.FORMAT_VERSION), "pxar"],
  [itemBytes(Items.PAYLOAD_START_MARKER), "pxar-payload"]
]

const jsonStart = /^\s*\{/

/** How many bytes from the beginning `recognise` wants. */
export const headBytes = 64

/** The kind of a file that begins with `head`; undefined for none of ours. */
export const recognise = (head: Uint8Array): FileKind | undefined => {
  const found = magics.find(([magic]) => Buffer.compare(magic, head.subarray(0, magic.length)) === 0)
  if (found !== undefined) return found[1]
  return jsonStart.test(Buffer.from(head).toString("latin1")) ? "key-file" : undefined
}
