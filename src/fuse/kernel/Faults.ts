/**
 * Faults: what went wrong with requests, told in the log, for a caller hears no more than a number.
 *
 * The same is told once: a program that reads on and on over a damaged file must not fill the log. What a caller has
 * asked for wrongly, such as a missing name, is no fault.
 */
import type * as Context from "effect/Context"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { VfsError } from "../../vfs/VfsError.ts"
import { Errno, fromReason } from "../protocol/Errno.ts"
import { Opcode } from "../protocol/Opcode.ts"

export interface Faults {
  /** The errno that stands for a failed effect; logs it when it is a fault. */
  readonly errnoOf: (opcode: number, cause: Cause.Cause<VfsError>) => number
  /** Something was thrown where nothing may be. */
  readonly defect: (opcode: number, defect: unknown) => void
  readonly refusedReply: (unique: bigint, code: string) => void
}

const toldMax = 1000

const names = new Map<number, string>(Object.entries(Opcode).map(([name, opcode]) => [opcode, name]))

const nameOf = (opcode: number): string => names.get(opcode) ?? String(opcode)

export const make = (context: Context.Context<never>): Faults => {
  const fork = Effect.runForkWith(context)
  const told = new Set<string>()
  const tellOnce = (text: string, log: Effect.Effect<void>): void => {
    if (told.has(text) || told.size >= toldMax) return
    told.add(text)
    fork(log)
  }
  const defect: Faults["defect"] = (opcode, found) => {
    const text = `a request (${nameOf(opcode)}) has failed by a fault of the program: ${String(found)}`
    tellOnce(text, Effect.logError(text, Cause.die(found)))
  }
  const errnoOf: Faults["errnoOf"] = (opcode, cause) => {
    for (const reason of cause.reasons) {
      if (Cause.isDieReason(reason)) {
        defect(opcode, reason.defect)
        return Errno.EIO
      }
      if (Cause.isFailReason(reason)) {
        const errno = fromReason(reason.error.reason)
        if (errno === Errno.EIO) tellOnce(reason.error.message, Effect.logWarning(reason.error.message))
        return errno
      }
    }
    return Errno.EINTR
  }
  return {
    defect,
    errnoOf,
    refusedReply: (_, code) => {
      const text = `the kernel has not taken a reply: ${code}`
      tellOnce(text, Effect.logError(text))
    }
  }
}
