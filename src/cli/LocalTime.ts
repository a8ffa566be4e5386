/** Times as people read them: local time, `2026-11-21 10:00:00`. */

/** What a JavaScript date can hold. */
const dateMaxSeconds = 8_640_000_000_000

let formatter: Intl.DateTimeFormat | undefined

/** Loading the locale data takes a while, so it waits for the first time that is shown. */
const localFormatter = (): Intl.DateTimeFormat =>
  (formatter ??= new Intl.DateTimeFormat("en-GB", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23"
  }))

/** Seconds since 1970 in local time; as `@seconds` where no calendar reaches. */
export const localTime = (seconds: number): string => {
  if (Math.abs(seconds) > dateMaxSeconds) return `@${seconds}`
  const parts = new Map<string, string>()
  for (const { type, value } of localFormatter().formatToParts(seconds * 1000)) parts.set(type, value)
  const [year = "", month, day] = ["year", "month", "day"].map((type) => parts.get(type))
  const [hour, minute, second] = ["hour", "minute", "second"].map((type) => parts.get(type))
  return `${year.padStart(4, "0")}-${month}-${day} ${hour}:${minute}:${second}`
}
