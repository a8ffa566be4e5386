/**
 * CalendarEvent: when a job runs, as Proxmox Backup Server writes it: `[WEEKDAYS] [[YEARS-]MONTHS-DAYS]
 * [[HOURS:]MINUTES[:SECONDS]]`, or a word such as `daily`; and the same for systemd and cron. Pure.
 *
 * systemd's own events look alike, but differ where it hurts: `30` or `0/5` are minutes of every hour in Proxmox Backup
 * Server, and nothing at all in systemd. So events are read and written anew, and never handed on as they stand.
 */
import { refuse as refuseName } from "../model/InvalidName.ts"

/** Some values of a field: one of them, those from the one to the other, or every so many from the first on. */
type Part =
  | { readonly kind: "value"; readonly first: number }
  | { readonly kind: "range"; readonly first: number; readonly last: number }
  | { readonly kind: "every"; readonly first: number; readonly step: number }

/** Undefined for any value. */
type Field = ReadonlyArray<Part> | undefined

export interface CalendarEvent {
  /** 0 is Monday; empty for any. */
  readonly weekdays: ReadonlyArray<number>
  readonly years: Field
  readonly months: Field
  readonly days: Field
  readonly hours: Field
  readonly minutes: Field
  readonly seconds: Field
  readonly isUtc: boolean
}

const weekdayNames = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

const shorthands: { readonly [word: string]: string } = {
  minutely: "*:*",
  hourly: "*:0",
  daily: "0:0",
  weekly: "mon 0:0",
  monthly: "*-1 0:0",
  yearly: "1-1 0:0",
  annually: "1-1 0:0",
  quarterly: "1,4,7,10-1 0:0",
  semiannually: "1,7-1 0:0",
  "semi-annually": "1,7-1 0:0"
}

const expected = "a calendar event such as daily, 02:30, mon..fri 22:00 or *-1 4:00"

class Refused extends Error {}

const refuse = (): never => {
  throw new Refused()
}

interface Bounds {
  readonly least: number
  readonly most: number
}

const bounds = {
  years: { least: 1970, most: 2200 },
  months: { least: 1, most: 12 },
  days: { least: 1, most: 31 },
  hours: { least: 0, most: 23 },
  minutes: { least: 0, most: 59 },
  seconds: { least: 0, most: 59 }
}

const number = (text: string | undefined, { least, most }: Bounds): number => {
  const value = text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  return value >= least && value <= most ? value : refuse()
}

const stepOf = (text: string, { most }: Bounds): number => number(text, { least: 1, most })

const partOf = (text: string, within: Bounds): Part => {
  const [range = "", step, ...more] = text.split("/")
  if (more.length > 0) return refuse()
  if (step !== undefined) return { kind: "every", first: number(range, within), step: stepOf(step, within) }
  const [from, to, ...rest] = range.split("..")
  if (rest.length > 0) return refuse()
  const first = number(from, within)
  if (to === undefined) return { kind: "value", first }
  const last = number(to, within)
  return first <= last ? { kind: "range", first, last } : refuse()
}

const fieldOf = (text: string | undefined, within: Bounds): Field => {
  if (text === undefined) return refuse()
  if (text === "*") return undefined
  const step = /^\*\/(\d+)$/.exec(text)?.[1]
  if (step !== undefined) return [{ kind: "every", first: within.least, step: stepOf(step, within) }]
  return text.split(",").map((part) => partOf(part, within))
}

const weekdayOf = (text: string | undefined): number => {
  const word = text?.toLowerCase() ?? ""
  const found = word.length < 3 ? -1 : weekdayNames.findIndex((name) => name.startsWith(word))
  return found === -1 ? refuse() : found
}

const weekdaysOf = (text: string): ReadonlyArray<number> => {
  const found = text.split(",").flatMap((part) => {
    const [from, to, ...more] = part.split("..")
    if (more.length > 0) return refuse()
    const first = weekdayOf(from)
    const last = to === undefined ? first : weekdayOf(to)
    if (first > last) return refuse()
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
  const different = [...new Set(found)].toSorted((left, right) => left - right)
  return different.length === weekdayNames.length ? [] : different
}

const dateOf = (text: string | undefined): Pick<CalendarEvent, "years" | "months" | "days"> => {
  if (text === undefined) return { years: undefined, months: undefined, days: undefined }
  const parts = text.split("-")
  if (parts.length > 3) return refuse()
  const [days, months, years = "*"] = parts.toReversed()
  return {
    years: fieldOf(years, bounds.years),
    months: fieldOf(months, bounds.months),
    days: fieldOf(days, bounds.days)
  }
}

const exactly = (first: number): Field => [{ kind: "value", first }]

/** Without hours minutes are meant; without any time it is midnight. */
const timeOf = (text: string | undefined): Pick<CalendarEvent, "hours" | "minutes" | "seconds"> => {
  if (text === undefined) return { hours: exactly(0), minutes: exactly(0), seconds: exactly(0) }
  const parts = text.split(":")
  if (parts.length > 3) return refuse()
  const [hours, minutes, seconds = "0"] = parts.length === 1 ? ["*", ...parts] : parts
  return {
    hours: fieldOf(hours, bounds.hours),
    minutes: fieldOf(minutes, bounds.minutes),
    seconds: fieldOf(seconds, bounds.seconds)
  }
}

const read = (text: string): CalendarEvent => {
  const words = (shorthands[text.toLowerCase()] ?? text).split(/\s+/)
  const isUtc = words.at(-1)?.toUpperCase() === "UTC"
  if (isUtc) words.pop()
  const weekdays = /^[A-Za-z]/.test(words[0] ?? "") ? weekdaysOf(words.shift() ?? "") : []
  const date = /^[^:]+-[^:]+$/.test(words[0] ?? "") ? words.shift() : undefined
  const time = words.shift()
  return words.length > 0 ? refuse() : { weekdays, ...dateOf(date), ...timeOf(time), isUtc }
}

/** Throws `InvalidName`. */
export const parse = (text: string): CalendarEvent => {
  const trimmed = text.trim()
  try {
    return trimmed === "" ? refuse() : read(trimmed)
  } catch (error) {
    if (error instanceof Refused) return refuseName("schedule", text, expected)
    throw error
  }
}

const two = (value: number): string => String(value).padStart(2, "0")

const systemdField = (field: Field): string =>
  field === undefined
    ? "*"
    : field
        .map((part) => {
          const first = two(part.first)
          if (part.kind === "value") return first
          return part.kind === "range" ? `${first}..${two(part.last)}` : `${first}/${part.step}`
        })
        .join(",")

const shortName = (weekday: number): string => {
  const name = weekdayNames[weekday] ?? ""
  return `${name.charAt(0).toUpperCase()}${name.slice(1, 3)}`
}

/** For `OnCalendar=`. */
export const toSystemd = (event: CalendarEvent): string => {
  const date = [event.years, event.months, event.days].map(systemdField).join("-")
  const time = [event.hours, event.minutes, event.seconds].map(systemdField).join(":")
  const weekdays = event.weekdays.map(shortName).join(",")
  return [weekdays, date, time, event.isUtc ? "UTC" : ""].filter((part) => part !== "").join(" ")
}

const cronField = (field: Field, { least, most }: Bounds): string =>
  field === undefined
    ? "*"
    : field
        .map((part) => {
          if (part.kind === "value") return String(part.first)
          if (part.kind === "range") return `${part.first}-${part.last}`
          return part.first === least ? `*/${part.step}` : `${part.first}-${most}/${part.step}`
        })
        .join(",")

const isFullMinute = (seconds: Field): boolean =>
  seconds?.length === 1 && seconds[0]?.kind === "value" && seconds[0].first === 0

/** What cron cannot be told; undefined when it can. */
const obstacleOf = ({ isUtc, seconds, years }: CalendarEvent): string | undefined => {
  if (years !== undefined) return "cron knows no years"
  if (!isFullMinute(seconds)) return "cron knows no seconds"
  return isUtc ? "cron keeps to the machine's time zone" : undefined
}

export interface CronTime {
  readonly fields: string
  /** Days of the week (1 is Monday) that the command has to look for itself: cron would run on any of both kinds. */
  readonly onWeekdays: ReadonlyArray<number>
}

/** For a line of a crontab; a text that says why it cannot be told. */
export const toCron = (event: CalendarEvent): CronTime | string => {
  const obstacle = obstacleOf(event)
  if (obstacle !== undefined) return obstacle
  const weekdays = event.weekdays.map((weekday) => weekday + 1)
  const both = weekdays.length > 0 && event.days !== undefined
  const fields = [
    cronField(event.minutes, bounds.minutes),
    cronField(event.hours, bounds.hours),
    cronField(event.days, bounds.days),
    cronField(event.months, bounds.months),
    both || weekdays.length === 0 ? "*" : weekdays.join(",")
  ]
  return { fields: fields.join(" "), onWeekdays: both ? weekdays : [] }
}
