/**
 * The fixed part of an entry: type and permission bits, flags, owner and modification time.
 *
 * Version 2, 40 bytes: u64 mode, u64 flags, u32 uid, u32 gid, i64 seconds, u32 nanoseconds, 4 bytes of zeros.
 * Version 1, 32 bytes, read only: the time is one u64 of nanoseconds since the epoch instead.
 */
import type { FileMetadata } from "../../model/FileMetadata.ts"
import type { ByteReader } from "../ByteReader.ts"
import type { ByteWriter } from "../ByteWriter.ts"
import { ENTRY, writeHeader } from "./Items.ts"

export type Stat = Pick<FileMetadata, "mode" | "flags" | "uid" | "gid" | "mtimeSeconds" | "mtimeNanos">

const NANOS_PER_SECOND = 1_000_000_000
const MAXIMUM_U32 = 0xffff_ffff

/** Writes an ENTRY item; what would not read back is a defect of the caller. */
export const writeStat = (writer: ByteWriter, stat: Stat): void => {
  const isPossible =
    stat.mode <= MAXIMUM_U32 &&
    stat.uid >>> 0 === stat.uid &&
    stat.gid >>> 0 === stat.gid &&
    stat.mtimeNanos >>> 0 === stat.mtimeNanos &&
    stat.mtimeNanos < NANOS_PER_SECOND
  if (!isPossible)
    throw new RangeError(
      `mode, owner or nanoseconds out of range: ${stat.mode}, ${stat.uid}, ${stat.gid}, ${stat.mtimeNanos}`
    )
  writeHeader(writer, ENTRY, ENTRY.maximumBytes)
    .u64(stat.mode)
    .u64(stat.flags)
    .u32(stat.uid)
    .u32(stat.gid)
    .i64(stat.mtimeSeconds)
    .u32(stat.mtimeNanos)
    .u32(0)
}

const readMode = (reader: ByteReader): number => {
  const at = reader.offset
  const mode = reader.size("mode")
  if (mode > MAXIMUM_U32) reader.fail("a mode of 32 bits", String(mode), at)
  return mode
}

/** Reads the content of an ENTRY item. */
export const readStat = (reader: ByteReader): Stat => {
  const mode = readMode(reader)
  const flags = reader.size("flags")
  const uid = reader.u32("uid")
  const gid = reader.u32("gid")
  const mtimeSeconds = reader.integer("modification time")
  const mtimeNanos = reader.u32("nanoseconds")
  if (mtimeNanos >= NANOS_PER_SECOND)
    reader.fail("nanoseconds below 10^9", String(mtimeNanos), reader.offset - 4)
  reader.skip(4, "padding")
  return { mode, flags, uid, gid, mtimeSeconds, mtimeNanos }
}

/** Reads the content of an ENTRY_V1 item. */
export const readStatV1 = (reader: ByteReader): Stat => {
  const mode = readMode(reader)
  const flags = reader.size("flags")
  const uid = reader.u32("uid")
  const gid = reader.u32("gid")
  const nanos = reader.u64("modification time")
  const mtimeSeconds = Number(nanos / BigInt(NANOS_PER_SECOND))
  return { mode, flags, uid, gid, mtimeSeconds, mtimeNanos: Number(nanos % BigInt(NANOS_PER_SECOND)) }
}
