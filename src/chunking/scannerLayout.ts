/**
 * Where the WebAssembly scanner keeps what in the first page of its memory: the byte table in 32 rotations,
 * the boundary mask in 32 rotations, and the prefixes of one tile behind those of the 64 bytes before it. The
 * generator of the module and the code that prepares its memory both go by it.
 */

/** Bytes scanned in one go: small enough for prefixes and data to stay in the first-level cache. */
export const tileSizeBytes = 1024

/** 32 tables of 256 words; table r holds the byte table rotated right by r. */
export const tablesOffset = 0

/** 32 words; word r is the mask of the bits a candidate must have, rotated right by r. */
export const masksOffset = tablesOffset + 32 * 256 * 4

/** The prefixes: 64 words of history, then one word a byte of the tile. */
export const prefixesOffset = masksOffset + 32 * 4

/** The data region begins with the second page. */
export const dataOffset = 65_536
