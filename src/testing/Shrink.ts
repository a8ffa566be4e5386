/**
 * Shrink: from a schedule that fails to a smaller one that fails in the same way.
 *
 * Smaller means: fewer faults, then fewer choices that are not "as before", then smaller ones, then a shorter list,
 * then earlier faults. Every accepted candidate is smaller, so it comes to an end; a bound on tries ends it sooner.
 */
import type { FaultAt, Schedule } from "./Simulation.ts"

/** How far from its step a fault is tried when something before it went away. */
const stepsAround = 8

const withoutTail = (choices: ReadonlyArray<number>): ReadonlyArray<number> => {
  const last = choices.findLastIndex((choice) => choice !== 0)
  return choices.slice(0, last + 1)
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, each) => total + each, 0)

const measures = ({ choices, faults }: Schedule): ReadonlyArray<number> => [
  faults.length,
  choices.filter((choice) => choice !== 0).length,
  sum(choices),
  choices.length,
  sum(faults.map(({ step }) => step))
]

const isSmaller = (schedule: Schedule, than: Schedule): boolean => {
  const [left, right] = [measures(schedule), measures(than)]
  const at = left.findIndex((each, index) => each !== right[index])
  return at !== -1 && (left[at] ?? 0) < (right[at] ?? 0)
}

function* fewerFaults(faults: ReadonlyArray<FaultAt>): Generator<ReadonlyArray<FaultAt>> {
  for (let index = 0; index < faults.length; index++) yield faults.toSpliced(index, 1)
}

function* earlierFaults(faults: ReadonlyArray<FaultAt>): Generator<ReadonlyArray<FaultAt>> {
  for (const [index, { step, fault }] of faults.entries()) {
    for (const earlier of new Set([0, step >> 1, step - 2, step - 1])) {
      if (earlier >= 0 && earlier < step) yield faults.with(index, { step: earlier, fault })
    }
  }
}

/** Without one fault the others may belong to other steps. */
function* fewerFaultsElsewhere(faults: ReadonlyArray<FaultAt>): Generator<ReadonlyArray<FaultAt>> {
  for (const fewer of fewerFaults(faults)) {
    for (const [index, { step, fault }] of fewer.entries()) {
      for (let moved = Math.max(0, step - stepsAround); moved <= step + stepsAround; moved++) {
        yield fewer.with(index, { step: moved, fault })
      }
    }
  }
}

const blockSizes = [32, 16, 8, 4, 3, 2, 1]

function* smallerChoices(choices: ReadonlyArray<number>): Generator<ReadonlyArray<number>> {
  const { length } = choices
  for (const kept of new Set([0, length >> 2, length >> 1, length - (length >> 2), length - 1])) {
    if (kept >= 0 && kept < length) yield choices.slice(0, kept)
  }
  for (const size of blockSizes) {
    for (let start = 0; start + size <= length; start += size) {
      yield choices.map((choice, index) => (index >= start && index < start + size ? 0 : choice))
    }
  }
  for (const size of blockSizes) {
    for (let start = 0; start + size <= length; start++) yield choices.toSpliced(start, size)
  }
  for (const [index, choice] of choices.entries()) {
    if (choice > 1) yield choices.with(index, 1)
    if (choice > 2) yield choices.with(index, choice - 1)
  }
  // One switch later and one earlier less: two neighbours change places.
  for (let index = 1; index < length; index++) {
    const [before, after] = [choices[index - 1] ?? 0, choices[index] ?? 0]
    if (after !== 0 && before === 0) yield choices.with(index - 1, after).with(index, 0)
  }
}

function* candidates({ choices, faults }: Schedule): Generator<Schedule> {
  for (const fewer of fewerFaults(faults)) yield { choices, faults: fewer }
  for (const fewer of fewerFaultsElsewhere(faults)) {
    yield { choices: [], faults: fewer }
    yield { choices, faults: fewer }
  }
  for (const smaller of smallerChoices(choices)) yield { choices: smaller, faults }
  for (const earlier of earlierFaults(faults)) yield { choices, faults: earlier }
  // A shorter run needs its faults earlier: both at once.
  for (const earlier of earlierFaults(faults)) {
    for (let index = 0; index < choices.length; index++) {
      yield { choices: choices.toSpliced(index, 1), faults: earlier }
    }
  }
}

export interface Shrunk {
  readonly schedule: Schedule
  readonly tries: number
}

/**
 * `retry` plays a candidate and answers the schedule as it was really played when it fails in the same way. It is a
 * generator, so that whoever drives it may play runs at once or wait for them.
 */
export function* shrink<Request, Reply>(
  first: Schedule,
  retry: (candidate: Schedule) => Generator<Request, Schedule | undefined, Reply>,
  maxTries: number
): Generator<Request, Shrunk, Reply> {
  let best: Schedule = { choices: withoutTail(first.choices), faults: first.faults }
  let tries = 0
  const seen = new Set<string>()
  for (let improved = true; improved;) {
    improved = false
    for (const { choices, faults } of candidates(best)) {
      const candidate = { choices: withoutTail(choices), faults }
      const key = JSON.stringify(candidate)
      if (!isSmaller(candidate, best) || seen.has(key)) continue
      if (tries === maxTries) return { schedule: best, tries }
      seen.add(key)
      tries += 1
      const played = yield* retry(candidate)
      if (played === undefined) continue
      const trimmed = { choices: withoutTail(played.choices), faults: played.faults }
      best = isSmaller(trimmed, candidate) ? trimmed : candidate
      improved = true
      break
    }
  }
  return { schedule: best, tries }
}
