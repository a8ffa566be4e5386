/** Schedules: that the schedules among the values of a section are ones, before they are written. */
import * as CalendarEvent from "./CalendarEvent.ts"

export const hint = "write for example daily, 02:30, 'sat 4:00' or 'mon..fri 22:00'"

const isSchedule = (key: string): boolean => key === "schedule" || key.endsWith("-schedule")

/** Throws `InvalidName`. An empty one takes a schedule away. */
export const check = (texts: {
  readonly [key: string]: string | ReadonlyArray<string> | undefined
}): void => {
  for (const [key, value] of Object.entries(texts)) {
    if (isSchedule(key) && typeof value === "string" && value !== "") CalendarEvent.parse(value)
  }
}
