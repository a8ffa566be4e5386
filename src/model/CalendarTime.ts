/**
 * CalendarTime: which hour, day, week, month and year a moment belongs to, as clocks in a time zone show it.
 *
 * The names are those that prune groups snapshots by: `2026-11-20 14:00`, `2026-11-20`, `2026-W47` (ISO week),
 * `2026-11`, `2026`. Two moments have the same name exactly when Proxmox Backup Server gives them the same one; so both
 * hours that clocks show twice in the autumn have one name. Pure but for one thing: without a zone, the machine's own
 * is asked for.
 */
import { refuse } from "./InvalidName.ts"

/** A date as on the calendar on the wall, and the hour of the day. */
export interface CalendarDate {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
}

/** Reads seconds since 1970 as a date and hour. */
export type CalendarTime = (seconds: number) => CalendarDate

/** Making one costs far more than using it. */
const formatters = new Map<string | undefined, Intl.DateTimeFormat>()

/** The Gregorian calendar also for the past, digits from 0 to 9: nothing of it depends on the machine's language. */
const makeFormatter = (timeZone: string | undefined): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat("en-GB-u-ca-gregory-nu-latn", {
    era: "narrow",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    hourCycle: "h23",
    ...(timeZone === undefined ? {} : { timeZone })
  })

const formatterOf = (timeZone: string | undefined): Intl.DateTimeFormat => {
  const known = formatters.get(timeZone)
  if (known !== undefined) return known
  try {
    const made = makeFormatter(timeZone)
    formatters.set(timeZone, made)
    return made
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return refuse("time zone", timeZone ?? "", "a name of the IANA database, such as Europe/Vienna or UTC")
  }
}

/** The calendar of a zone (`Europe/Vienna`); of the machine's own zone when none is named. */
export const make = (timeZone?: string): CalendarTime => {
  const formatter = formatterOf(timeZone)
  return (seconds) => {
    const date = { year: 0, month: 0, day: 0, hour: 0 }
    let isBeforeChrist = false
    for (const { type, value } of formatter.formatToParts(seconds * 1000)) {
      if (type === "year" || type === "month" || type === "day" || type === "hour") date[type] = Number(value)
      else if (type === "era") isBeforeChrist = value.startsWith("B")
    }
    return isBeforeChrist ? { ...date, year: 1 - date.year } : date
  }
}

const pad = (value: number, width: number): string => String(value).padStart(width, "0")

export const yearly = ({ year }: CalendarDate): string => pad(year, 4)

export const monthly = (date: CalendarDate): string => `${yearly(date)}-${pad(date.month, 2)}`

export const daily = (date: CalendarDate): string => `${monthly(date)}-${pad(date.day, 2)}`

export const hourly = (date: CalendarDate): string => `${daily(date)} ${pad(date.hour, 2)}:00`

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

/** 1 for the first of January. */
const dayOfYear = ({ year, month, day }: CalendarDate): number =>
  (daysBeforeMonth[month - 1] ?? 0) + day + (month > 2 && isLeapYear(year) ? 1 : 0)

/** Monday is 1, Sunday 7: of the last day of a year. */
const weekdayOfLastDay = (year: number): number => {
  const days = year + Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400)
  return ((((days - 1) % 7) + 7) % 7) + 1
}

/** A year has 53 weeks when it begins or ends on a Thursday. */
const weeksInYear = (year: number): number =>
  weekdayOfLastDay(year) === 4 || weekdayOfLastDay(year - 1) === 3 ? 53 : 52

/** The ISO week: it belongs to the year in which its Thursday lies. */
export const weekly = (date: CalendarDate): string => {
  const ordinal = dayOfYear(date)
  const weekday = ((weekdayOfLastDay(date.year - 1) + ordinal - 1) % 7) + 1
  const week = Math.floor((ordinal - weekday + 10) / 7)
  if (week < 1) return `${pad(date.year - 1, 4)}-W${pad(weeksInYear(date.year - 1), 2)}`
  if (week > weeksInYear(date.year)) return `${pad(date.year + 1, 4)}-W01`
  return `${yearly(date)}-W${pad(week, 2)}`
}
