/**
 * NativeCalls: functions of the C library by their prototypes, by way of koffi. Plain functions that throw, or reject
 * with, `PosixError` and nothing else. Linux only; nothing is loaded before the first call.
 */
import * as Data from "effect/Data"
import { createRequire } from "node:module"
import { getSystemErrorMap } from "node:util"

export class PosixError extends Data.TaggedError("PosixError")<{
  readonly syscall: string
  /** Symbolic errno, such as ENOENT. */
  readonly code: string
}> {
  override get message(): string {
    return `${this.syscall} failed: ${this.code}`
  }
}

/** What koffi offers for memory that system calls fill. */
export interface NativeMemory {
  readonly allocate: (sizeBytes: number) => unknown
  readonly address: (memory: unknown) => bigint
  readonly view: (memory: unknown, sizeBytes: number) => ArrayBuffer
  readonly free: (memory: unknown) => void
}

interface Call {
  (...parameters: ReadonlyArray<unknown>): number
  /** The last parameter is told how it ended, and reads the error number at once. */
  readonly async: (...parameters: ReadonlyArray<unknown>) => void
}

interface Library<Name extends string> extends NativeMemory {
  readonly errno: () => number
  readonly call: Readonly<Record<Name, Call>>
}

const loadLibrary = <Name extends string>(prototypes: Readonly<Record<Name, string>>): Library<Name> => {
  if (process.platform !== "linux") throw new PosixError({ syscall: "dlopen", code: "ENOSYS" })
  const koffi = createRequire(import.meta.url)("koffi")
  const c = koffi.load(null)
  const call: Record<string, Call> = {}
  for (const [name, prototype] of Object.entries<string>(prototypes)) {
    call[name] = c.func(prototype.replaceAll("_", "void *"))
  }
  return {
    errno: () => koffi.errno(),
    allocate: (sizeBytes) => koffi.alloc("uint8_t", sizeBytes),
    address: (memory) => koffi.address(memory),
    view: (memory, sizeBytes) => koffi.view(memory, sizeBytes),
    free: (memory) => koffi.free(memory),
    call: call as Library<Name>["call"]
  }
}

export interface NativeCalls<Name extends string> {
  /** Throws where these calls cannot be made. */
  readonly memory: () => NativeMemory
  readonly run: (syscall: Name, ...parameters: ReadonlyArray<unknown>) => number
  /** The same on another thread, for what waits for a disk. */
  readonly runLater: (syscall: Name, ...parameters: ReadonlyArray<unknown>) => Promise<number>
}

const failureOf = (syscall: string, number: number): PosixError =>
  new PosixError({ syscall, code: getSystemErrorMap().get(-number)?.[0] ?? "EIO" })

/** Functions as koffi declares them; `_` stands for "bytes that the callee reads or writes". */
export const make = <Name extends string>(prototypes: Readonly<Record<Name, string>>): NativeCalls<Name> => {
  let loaded: Library<Name> | undefined
  const library = (): Library<Name> => (loaded ??= loadLibrary(prototypes))
  return {
    memory: library,
    run: (syscall, ...parameters) => {
      const { call, errno } = library()
      const result = call[syscall](...parameters)
      if (result >= 0) return result
      // Asked for at once: whatever the runtime does in between may set it.
      throw failureOf(syscall, errno())
    },
    runLater: (syscall, ...parameters) =>
      new Promise((resolve, reject) => {
        const { call, errno } = library()
        call[syscall].async(...parameters, (error: unknown, result: number) => {
          if (error !== null) reject(error)
          else if (result >= 0) resolve(result)
          else reject(failureOf(syscall, errno()))
        })
      })
  }
}
