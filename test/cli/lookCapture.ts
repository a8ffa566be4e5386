/**
 * Keeps what a command writes to standard output, which it does by descriptor. To be used in a mock of the module,
 * which has to be declared in the test file itself:
 *
 *     vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))
 */
import type * as FileSystem from "node:fs"

/** What was written since it was last emptied. */
export const printed: Array<Uint8Array> = []

/** `node:fs` with a `writeSync` that keeps what goes to standard output. */
export const capturing = (original: typeof FileSystem): typeof FileSystem => ({
  ...original,
  writeSync: ((descriptor: number, content: string | Uint8Array, ...rest: ReadonlyArray<number>) => {
    if (descriptor !== 1) return Reflect.apply(original.writeSync, original, [descriptor, content, ...rest])
    // A copy: the writer uses the memory again.
    printed.push(Uint8Array.from(Buffer.from(content)))
    return content.length
  }) as typeof FileSystem.writeSync
})
