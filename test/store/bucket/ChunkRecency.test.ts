/** The rules by which chunks go, against a plain model that sorts them. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  Census,
  type ChunkTimes,
  isRenewalDue,
  isUsedAgain,
  oneUseSeconds,
  renewalSeconds
} from "../../../src/store/bucket/ChunkRecency.ts"

interface Sample extends ChunkTimes {
  readonly sizeBytes: number
}

const now = 2_000_000_000

const sampleWithin = (ageMaxSeconds: number): fc.Arbitrary<Sample> =>
  fc
    .record({
      age: fc.nat(ageMaxSeconds),
      lastUse: fc.nat(ageMaxSeconds),
      sizeBytes: fc.integer({ min: 1, max: 1000 })
    })
    .map(({ age, lastUse, sizeBytes }) => ({
      mtimeSeconds: now - age,
      atimeSeconds: now - Math.min(age, lastUse),
      sizeBytes
    }))

const censusOf = (samples: ReadonlyArray<Sample>): Census => {
  const census = new Census(now)
  for (const sample of samples) census.add(sample, sample.sizeBytes)
  return census
}

/** What goes, in the order of the folder, when bytes at the border are taken as they come. */
const goersOf = (samples: ReadonlyArray<Sample>, keptBytes: number, protectedBytes: number) => {
  const census = censusOf(samples)
  const selection = census.select(keptBytes, protectedBytes)
  if (selection === undefined) return []
  let wanted = selection.bytesFrom
  return samples.filter((sample) => {
    const judged = census.judge(selection, sample)
    if (judged !== "goes while wanted" || wanted <= 0) return judged === "goes"
    wanted -= sample.sizeBytes
    return true
  })
}

const sum = (samples: ReadonlyArray<Sample>): number =>
  samples.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)

/** Those used again that may stay whatever comes, by the book: the latest ones, whole seconds at a time. */
const protectedSecondsOf = (samples: ReadonlyArray<Sample>, protectedBytes: number): ReadonlySet<number> => {
  const again = samples.filter(isUsedAgain)
  const seconds = [...new Set(again.map(({ atimeSeconds }) => atimeSeconds))].toSorted((a, b) => b - a)
  const safe = new Set<number>()
  let bytes = 0
  for (const second of seconds) {
    bytes += sum(again.filter(({ atimeSeconds }) => atimeSeconds === second))
    if (bytes > protectedBytes) break
    safe.add(second)
  }
  return safe
}

const timeOf = (sample: Sample): number => (isUsedAgain(sample) ? sample.atimeSeconds : sample.mtimeSeconds)

describe("which chunks go", () => {
  const exactSeconds = 2047
  const input = fc.record({
    samples: fc.array(sampleWithin(exactSeconds), { maxLength: 60 }),
    keptShare: fc.double({ min: 0, max: 1.2, noNaN: true }),
    protectedShare: fc.double({ min: 0, max: 1, noNaN: true })
  })

  it("is what sorting them would say", () => {
    fc.assert(
      fc.property(input, ({ samples, keptShare, protectedShare }) => {
        const keptBytes = sum(samples) * keptShare
        const protectedBytes = keptBytes * protectedShare
        const goers = new Set(goersOf(samples, keptBytes, protectedBytes))
        const stayers = samples.filter((sample) => !goers.has(sample))
        assert.isAtMost(sum(stayers), keptBytes)
        const safe = protectedSecondsOf(samples, protectedBytes)
        const isSafe = (sample: Sample) => isUsedAgain(sample) && safe.has(sample.atimeSeconds)
        assert.isFalse([...goers].some(isSafe))
        const oldestKept = Math.min(...stayers.filter((sample) => !isSafe(sample)).map(timeOf), Infinity)
        const newestGone = Math.max(...[...goers].map(timeOf), -Infinity)
        assert.isAtMost(newestGone, oldestKept)
        // No more goes than has to: without the last of the newest second there was too much.
        const lastSecond = [...goers].filter((sample) => timeOf(sample) === newestGone)
        const largest = Math.max(...lastSecond.map(({ sizeBytes }) => sizeBytes))
        if (goers.size > 0) assert.isAbove(sum(stayers) + largest, keptBytes)
      })
    )
  })

  it("is right to a thousandth of the age for whatever is older", () => {
    const years = 60 * 365 * 24 * 60 * 60
    fc.assert(
      fc.property(fc.array(sampleWithin(years), { minLength: 2, maxLength: 60 }), (samples) => {
        const keptBytes = sum(samples) / 2
        const goers = new Set(goersOf(samples, keptBytes, 0))
        const ageOf = (sample: Sample) => now - timeOf(sample)
        const youngestGone = Math.min(...[...goers].map(ageOf))
        const oldestKept = Math.max(...samples.filter((sample) => !goers.has(sample)).map(ageOf))
        assert.isAtMost(oldestKept, youngestGone * (1 + 1 / 1024) + 1)
      })
    )
  })

  it("counts times in the future, and before all time, as the ends of the scale", () => {
    const ahead = { mtimeSeconds: now + 5000, atimeSeconds: now + 5000, sizeBytes: 10 }
    const ancient = { mtimeSeconds: -now * 3, atimeSeconds: -now * 3, sizeBytes: 10 }
    assert.deepStrictEqual(goersOf([ahead, ancient], 10, 0), [ancient])
    assert.deepStrictEqual(goersOf([ahead], 9, 0), [ahead])
  })
})

describe("a use", () => {
  const arrival = { mtimeSeconds: now, atimeSeconds: now }

  it("is one with the arrival for a quarter of an hour", () => {
    assert.isFalse(isRenewalDue(arrival, now + oneUseSeconds - 1))
    assert.isTrue(isRenewalDue(arrival, now + oneUseSeconds))
    assert.isFalse(isUsedAgain({ ...arrival, atimeSeconds: now + oneUseSeconds - 1 }))
    assert.isTrue(isUsedAgain({ ...arrival, atimeSeconds: now + oneUseSeconds }))
  })

  it("is told once an hour of what is used again", () => {
    const later = { mtimeSeconds: now - 100_000, atimeSeconds: now }
    assert.isFalse(isRenewalDue(later, now + renewalSeconds - 1))
    assert.isTrue(isRenewalDue(later, now + renewalSeconds))
  })

  it("is told when only the file system has noted one right after the arrival", () => {
    const read = { mtimeSeconds: now, atimeSeconds: now + oneUseSeconds - 10 }
    assert.isTrue(isRenewalDue(read, now + oneUseSeconds))
  })
})
