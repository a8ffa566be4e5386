/**
 * Groups for tests of prune, arbitrary ones too, and a slow second telling of which snapshots stay. It shares nothing
 * with the implementation: its calendar is that of JavaScript's dates, and it asks of each rule as a whole which
 * periods it fills, instead of walking.
 */
import * as fc from "fast-check"
import type { Retention, RetentionRule } from "../../src/model/Retention.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import type { Candidate, Decision } from "../../src/prune/Decision.ts"

const group = BackupGroup.parse("host/a")

/** `2026-11-20T10:00:00Z`; with a `p` before it protected, with a `u` unfinished. */
export const candidate = (text: string): Candidate => ({
  snapshot: Snapshot.fromDirectory(group, text.replace(/^[pu]*/, "")),
  finished: !/^p?u/.test(text),
  protected: /^u?p/.test(text)
})

export const told = (decisions: ReadonlyArray<Decision>): ReadonlyArray<string> =>
  decisions.map(({ snapshot, reason }) => `${snapshot.directory} ${reason}`)

export const keptNames = (decisions: ReadonlyArray<Decision>): ReadonlyArray<string> =>
  decisions.filter(({ keep }) => keep).map(({ snapshot }) => snapshot.directory)

const day = 86_400

/** Seconds between two snapshots: now and then in one hour, in one day, in one week, far apart. */
const gap = fc.oneof(
  fc.integer({ min: 1, max: 3600 }),
  fc.integer({ min: 600, max: day }),
  fc.integer({ min: day / 2, max: 10 * day }),
  fc.integer({ min: 10 * day, max: 400 * day })
)

/** How often: one in so many. */
const rarely = (oneIn: number) => fc.integer({ min: 1, max: oneIn }).map((number) => number === 1)

const makeGroup = (
  start: number,
  items: ReadonlyArray<readonly [number, boolean, boolean]>
): ReadonlyArray<Candidate> => {
  let time = start
  return items.map(([seconds, unfinished, isProtected]) => {
    time += seconds
    return { snapshot: Snapshot.make(group, time), finished: !unfinished, protected: isProtected }
  })
}

/** In no order that a test could rely on. */
export const anyGroup = fc
  .tuple(
    fc.integer({ min: 946_684_800, max: 1_893_456_000 }),
    fc.array(fc.tuple(gap, rarely(6), rarely(5)), { maxLength: 40 })
  )
  .map(([start, items]) => makeGroup(start, items))
  .chain((made) => fc.shuffledSubarray([...made], { minLength: made.length }))

const anyCount = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined, freq: 2 })

export const anyRetention: fc.Arbitrary<Retention> = fc
  .record({
    last: anyCount,
    hourly: anyCount,
    daily: anyCount,
    weekly: anyCount,
    monthly: anyCount,
    yearly: anyCount
  })
  .map((counts) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined)))

/** Zones that are always so many hours ahead of UTC; their names count the other way. */
export const anyFixedZone = fc.integer({ min: -12, max: 14 }).map((hours) => ({
  hours,
  name: hours === 0 ? "UTC" : `Etc/GMT${hours > 0 ? "-" : "+"}${Math.abs(hours)}`
}))

/** The year and week of the Thursday that is nearest. */
const weekOf = (date: Date): string => {
  const thursday = new Date(date)
  thursday.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7))
  const firstOfYear = Date.UTC(thursday.getUTCFullYear(), 0, 1)
  return `${thursday.getUTCFullYear()} ${Math.ceil(((thursday.getTime() - firstOfYear) / 86_400_000 + 1) / 7)}`
}

const periodOf = (rule: RetentionRule, { snapshot }: Candidate, hours: number): string => {
  const date = new Date((snapshot.time + hours * 3600) * 1000)
  const text = date.toISOString()
  if (rule === "weekly") return weekOf(date)
  const length = { last: 19, hourly: 13, daily: 10, monthly: 7, yearly: 4 }[rule]
  return text.slice(0, length)
}

const isNewestOf = (item: Candidate, items: ReadonlyArray<Candidate>): boolean =>
  items.every((other) => other.snapshot.time <= item.snapshot.time)

/** The names that stay, by the definition, in time order from the newest; quadratic and proud of it. */
export const oracle = (
  all: ReadonlyArray<Candidate>,
  retention: Retention,
  hours: number
): ReadonlyArray<string> => {
  const isEmpty = Object.values(retention).every((count) => count === 0)
  const kept = new Set<Candidate>()
  const given = new Set<Candidate>()
  for (const rule of ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const) {
    const period = (item: Candidate) => periodOf(rule, item, hours)
    const taken = new Set([...kept].map(period))
    const open = all.filter(
      (item) =>
        item.finished && !item.protected && !kept.has(item) && !given.has(item) && !taken.has(period(item))
    )
    const newestFirst = open.toSorted((left, right) => right.snapshot.time - left.snapshot.time)
    const filled = [...new Set(newestFirst.map(period))].slice(0, retention[rule] ?? 0)
    for (const name of filled) {
      const inPeriod = open.filter((item) => period(item) === name)
      for (const item of inPeriod) (isNewestOf(item, inPeriod) ? kept : given).add(item)
    }
  }
  return all
    .filter(
      (item) => isEmpty || item.protected || kept.has(item) || (!item.finished && isNewestOf(item, all))
    )
    .toSorted((left, right) => right.snapshot.time - left.snapshot.time)
    .map(({ snapshot }) => snapshot.directory)
}
