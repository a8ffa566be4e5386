/**
 * Gives the memory of large buffers back at once. Compression and decryption make a buffer of some MiB for every chunk;
 * left to the garbage collector, which sees little reason to hurry, each thread would hold dozens of them.
 */

/** Smaller buffers may share their memory with others, and are not worth it. */
const worthwhileBytes = 1024 * 1024

/** Frees what `bytes` stands on and nothing else does. Nobody may use `bytes` afterwards. */
export const releaseOwnMemory = ({ buffer }: Uint8Array): void => {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** Frees what `bytes` stands on, unless it is the memory of `kept`. Nobody may use `bytes` afterwards. */
export const releaseMemory = (bytes: Uint8Array, kept: Uint8Array): void => {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || buffer === kept.buffer) return
  if (buffer.byteLength >= worthwhileBytes) buffer.transfer(0)
}
