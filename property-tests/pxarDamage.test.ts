import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import { FormatError } from "../src/format/FormatError.ts"
import { openArchive } from "../src/format/pxar/Accessor.ts"
import { Decoder } from "../src/format/pxar/Decoder.ts"
import { damageArbitrary } from "./pxarDamageArbitrary.ts"
import { describeArchive, type Meter, sourceOf } from "./pxarTrees.ts"

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../test/golden/pxar/${name}`, import.meta.url)))

const ARCHIVES: ReadonlyArray<readonly [archive: string, payload: string | undefined]> = [
  ["tiny-mix.v1.pxar", undefined],
  ["tiny-mix-exclude-cli.v1.pxar", undefined],
  ["tiny-emptyroot.v1.pxar", undefined],
  ["tiny-mix.v2.mpxar", "tiny-mix.v2.ppxar"],
  ["tiny-mix-exclude-cli.v2.mpxar", "tiny-mix-exclude-cli.v2.ppxar"]
]

/** No entry takes fewer bytes of an archive: FILENAME of one letter and HARDLINK with an empty path. */
const MINIMUM_ENTRY_BYTES = 43

/** Decodes to the end or to a FormatError; says how many events and payload bytes came before. */
const decode = (archive: Uint8Array, blockBytes: number) => {
  const decoder = new Decoder()
  let events = 0
  let payloadBytes = 0
  try {
    for (let at = 0; at < archive.length; at += blockBytes) {
      decoder.push(archive.subarray(at, at + blockBytes))
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        events++
        if (event.kind === "payload") payloadBytes += event.bytes.length
      }
    }
    decoder.finish()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
  }
  return { events, payloadBytes }
}

const walk = (archive: Uint8Array, payload: Uint8Array | undefined, meter: Meter) =>
  Effect.runSyncExit(
    Effect.gen(function* () {
      const opened = yield* openArchive(sourceOf(archive, meter), payload && sourceOf(payload, meter))
      return yield* describeArchive(opened, meter)
    })
  )

const onlyFormatErrors = <A, E>(exit: Exit.Exit<A, E>): void => {
  if (Exit.isSuccess(exit)) return
  for (const reason of exit.cause.reasons) {
    const error = reason._tag === "Fail" ? reason.error : reason
    assert.instanceOf(error, FormatError)
  }
}

describe("damaged pxar archives", () => {
  it.each(ARCHIVES)("decode or fail with FormatError: %s", (name) => {
    const bytes = golden(name)
    fc.assert(
      fc.property(damageArbitrary, fc.integer({ min: 1, max: 2000 }), (damage, blockBytes) => {
        const damaged = damage(bytes)
        const { events, payloadBytes } = decode(damaged, blockBytes)
        assert.isAtMost(events, 3 + damaged.length)
        assert.isAtMost(payloadBytes, damaged.length)
      }),
      { numRuns: 4000 }
    )
  })

  it.each(ARCHIVES)("give up or end soon under random access: %s", (name, payloadName) => {
    const bytes = golden(name)
    const payload = payloadName === undefined ? new Uint8Array(0) : golden(payloadName)
    fc.assert(
      fc.property(damageArbitrary, (damage) => {
        const damaged = damage(bytes)
        const meter = { entries: 0, readBytes: 0 }
        onlyFormatErrors(walk(damaged, payload, meter))
        assert.isAtMost(meter.entries, 1 + damaged.length / MINIMUM_ENTRY_BYTES)
        assert.isAtMost(meter.readBytes, (meter.entries + 1) * 8 * (damaged.length + payload.length))
      }),
      { numRuns: 2000 }
    )
  })

  it("give up or end soon when only the payload stream is damaged", () => {
    const archive = golden("tiny-mix.v2.mpxar")
    const payload = golden("tiny-mix.v2.ppxar")
    fc.assert(
      fc.property(damageArbitrary, (damage) => {
        onlyFormatErrors(walk(archive, damage(payload), { entries: 0, readBytes: 0 }))
      }),
      { numRuns: 1000 }
    )
  })
})
