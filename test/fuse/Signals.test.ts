/** Which signals mean that a reader will not wait any more. */
import { assert, describe, it } from "@effect/vitest"
import * as Signals from "../../src/fuse/kernel/Signals.ts"

const mask = (...signals: ReadonlyArray<number>): string =>
  signals
    .reduce((sum, signal) => sum | (1n << BigInt(signal - 1)), 0n)
    .toString(16)
    .padStart(16, "0")

const status = (own: string, shared: string, blocked: string): string =>
  [
    "Name:\tcat",
    "SigQ:\t0/100",
    `SigPnd:\t${own}`,
    `ShdPnd:\t${shared}`,
    `SigBlk:\t${blocked}`,
    `SigIgn:\t${mask(17)}\n`
  ].join("\n")

describe("signals", () => {
  it.each([1, 2, 3, 9, 15])("signal %i is an end, to the thread or to all of them", (signal) => {
    assert.isTrue(Signals.isEndingIn(status(mask(signal), mask(), mask())))
    assert.isTrue(Signals.isEndingIn(status(mask(), mask(signal, 17), mask())))
  })

  it.each([10, 12, 14, 17, 23, 28, 32, 33, 64])("signal %i is none", (signal) => {
    assert.isFalse(Signals.isEndingIn(status(mask(signal), mask(signal), mask())))
  })

  it("does not count what is blocked", () => {
    assert.isFalse(Signals.isEndingIn(status(mask(), mask(2), mask(2))))
    assert.isTrue(Signals.isEndingIn(status(mask(9), mask(2), mask(2))))
  })

  it("takes whoever cannot be looked at for ending, and us not", () => {
    assert.isTrue(Signals.isEnding(0))
    assert.isTrue(Signals.isEnding(2 ** 22 + 1))
    assert.isFalse(Signals.isEnding(process.pid))
  })
})
