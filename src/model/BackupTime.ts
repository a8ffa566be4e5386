/**
 * The time of a backup: whole seconds since 1970 as a number, `2026-11-21T10:00:00Z` as text and as folder
 * name.
 *
 * Reading is strict: only a time that exists in the (proleptic Gregorian) calendar, so that text and number
 * are two forms of the same thing and `format(parse(text)) === text` holds for every accepted text. Years
 * 0000 to 9999.
 */
import { refuse } from "./InvalidName.ts"

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})Z$/

const secondsPerDay = 86_400

/** 0000-01-01T00:00:00Z */
export const minSeconds = -62_167_219_200

/** 9999-12-31T23:59:59Z */
export const maxSeconds = 253_402_300_799

/** Years are counted from March, which puts the leap day last; 400 of them are one period of 146097 days. */
const daysPerPeriod = 146_097

/** Days from 0000-03-01 to 1970-01-01. */
const epochDay = 719_468

const daysFromCivil = (year: number, month: number, day: number): number => {
  const marchYear = month > 2 ? year : year - 1
  const period = Math.floor(marchYear / 400)
  const yearOfPeriod = marchYear - period * 400
  const monthFromMarch = (month + 9) % 12
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1
  const leapDays = Math.floor(yearOfPeriod / 4) - Math.floor(yearOfPeriod / 100)
  return period * daysPerPeriod + yearOfPeriod * 365 + leapDays + dayOfYear - epochDay
}

const civilFromDays = (days: number): readonly [year: number, month: number, day: number] => {
  const shifted = days + epochDay
  const period = Math.floor(shifted / daysPerPeriod)
  const dayOfPeriod = shifted - period * daysPerPeriod
  const pastLeapDays =
    Math.floor(dayOfPeriod / 1460) - Math.floor(dayOfPeriod / 36_524) + Math.floor(dayOfPeriod / 146_096)
  const yearOfPeriod = Math.floor((dayOfPeriod - pastLeapDays) / 365)
  const dayOfYear =
    dayOfPeriod - (yearOfPeriod * 365 + Math.floor(yearOfPeriod / 4) - Math.floor(yearOfPeriod / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return [period * 400 + yearOfPeriod + (month <= 2 ? 1 : 0), month, day]
}

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const daysInMonth = (year: number, month: number): number => {
  if (month === 2) return isLeapYear(year) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Whether the number has a text form: a whole number of seconds in the years 0000 to 9999. */
export const isBackupTime = (seconds: number): boolean =>
  Number.isInteger(seconds) && seconds >= minSeconds && seconds <= maxSeconds

/** Reads `YYYY-MM-DDThh:mm:ssZ` into seconds since 1970. */
export const parse = (text: string): number => {
  const match = pattern.exec(text)
  if (match === null) return refuse("backup time", text, "YYYY-MM-DDThh:mm:ssZ")
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number)
  const exists =
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysInMonth(year, month) &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 59
  if (!exists) return refuse("backup time", text, "a time that exists in the calendar")
  return daysFromCivil(year, month, day) * secondsPerDay + hour * 3600 + minute * 60 + second
}

const pad = (value: number, width: number): string => String(value).padStart(width, "0")

export const format = (seconds: number): string => {
  if (!isBackupTime(seconds)) {
    return refuse("backup time", String(seconds), "whole seconds since 1970 in the years 0000 to 9999")
  }
  const days = Math.floor(seconds / secondsPerDay)
  const rest = seconds - days * secondsPerDay
  const [year, month, day] = civilFromDays(days)
  const time = [Math.floor(rest / 3600), Math.floor((rest % 3600) / 60), rest % 60]
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${time.map((part) => pad(part, 2)).join(":")}Z`
}
