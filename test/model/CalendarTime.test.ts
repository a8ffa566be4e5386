/**
 * CalendarTime: hours to years as a wall calendar shows them. The expected names are those of GNU date, for example
 *
 *     TZ=Europe/Vienna date -d 2026-10-25T01:30:00Z '+%Y-%m-%d %H:00 %G-W%V'
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import * as BackupTime from "../../src/model/BackupTime.ts"
import * as CalendarTime from "../../src/model/CalendarTime.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"

const namesIn = (zone: string | undefined, seconds: number): string => {
  const date = CalendarTime.make(zone)(seconds)
  return `${CalendarTime.hourly(date)} ${CalendarTime.weekly(date)}`
}

const cases: ReadonlyArray<readonly [why: string, zone: string, time: string, expected: string]> = [
  ["clocks go back", "Europe/Vienna", "2026-10-25T00:30:00Z", "2026-10-25 02:00 2026-W43"],
  ["the same hour again", "Europe/Vienna", "2026-10-25T01:30:00Z", "2026-10-25 02:00 2026-W43"],
  ["before clocks go forward", "Europe/Vienna", "2026-03-29T00:59:59Z", "2026-03-29 01:00 2026-W13"],
  ["an hour is missing", "Europe/Vienna", "2026-03-29T01:00:00Z", "2026-03-29 03:00 2026-W13"],
  ["clocks go back in America", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01 01:00 2026-W44"],
  ["the same hour again there", "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01 01:00 2026-W44"],
  ["before the missing hour", "America/New_York", "2026-03-08T06:59:59Z", "2026-03-08 01:00 2026-W10"],
  ["after the missing hour", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-08 03:00 2026-W10"],
  ["week 53", "UTC", "2026-12-31T23:00:00Z", "2026-12-31 23:00 2026-W53"],
  ["week 53 in January", "UTC", "2027-01-03T12:00:00Z", "2027-01-03 12:00 2026-W53"],
  ["the week after", "UTC", "2027-01-04T00:00:00Z", "2027-01-04 00:00 2027-W01"],
  ["week 53 of a leap year", "UTC", "2020-12-31T00:00:00Z", "2020-12-31 00:00 2020-W53"],
  ["week 52 in January", "UTC", "2023-01-01T00:00:00Z", "2023-01-01 00:00 2022-W52"],
  ["week 1 in December", "UTC", "2024-12-30T00:00:00Z", "2024-12-30 00:00 2025-W01"],
  ["a leap day", "UTC", "2024-02-29T23:59:59Z", "2024-02-29 23:00 2024-W09"],
  ["a leap day of a century", "UTC", "2000-02-29T00:00:00Z", "2000-02-29 00:00 2000-W09"],
  ["the next year already", "Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01 00:00 2026-W53"],
  ["the old year still", "Pacific/Pago_Pago", "2027-01-01T10:59:59Z", "2026-12-31 23:00 2026-W53"],
  ["three quarters of an hour", "Asia/Kathmandu", "2026-06-30T18:15:00Z", "2026-07-01 00:00 2026-W27"],
  ["half an hour back", "Australia/Lord_Howe", "2026-04-04T15:15:00Z", "2026-04-05 01:00 2026-W14"],
  ["the year 0", "UTC", "0000-03-01T00:00:00Z", "0000-03-01 00:00 0000-W09"],
  ["the last second", "UTC", "9999-12-31T23:59:59Z", "9999-12-31 23:00 9999-W52"]
]

const hasGnuDate =
  existsSync("/usr/share/zoneinfo/Europe/Vienna") && spawnSync("date", ["--version"]).status === 0

const zones = [
  "UTC",
  "Europe/Vienna",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Apia"
]

/** 1980 to 2037, for which every zone database has the same rules. */
const anyTime = fc.integer({ min: 315_532_800, max: 2_145_916_800 })

describe("CalendarTime", () => {
  for (const [why, zone, time, expected] of cases) {
    it(`${zone} ${time}: ${why}`, () => assert.strictEqual(namesIn(zone, BackupTime.parse(time)), expected))
  }

  it("shorter names are beginnings of longer ones", () => {
    const date = CalendarTime.make("UTC")(BackupTime.parse("2026-03-05T07:08:09Z"))
    assert.strictEqual(CalendarTime.hourly(date), "2026-03-05 07:00")
    assert.strictEqual(CalendarTime.daily(date), "2026-03-05")
    assert.strictEqual(CalendarTime.monthly(date), "2026-03")
    assert.strictEqual(CalendarTime.yearly(date), "2026")
  })

  it("thinks in the machine's own zone when none is named", () => {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone
    for (const [, , time] of cases) {
      const seconds = BackupTime.parse(time)
      assert.strictEqual(namesIn(undefined, seconds), namesIn(own, seconds))
    }
  })

  it("refuses a zone that does not exist", () => {
    assert.throws(() => CalendarTime.make("Mars/Base"), InvalidName, /Mars\/Base.*Europe\/Vienna/)
    assert.throws(() => CalendarTime.make(""), InvalidName)
  })

  it.skipIf(!hasGnuDate)("agrees with GNU date about random times", () => {
    for (const zone of zones) {
      const times = fc.sample(anyTime, { numRuns: 500, seed: 11 })
      const { stdout } = spawnSync("date", ["-f", "-", "+%Y-%m-%d %H:00 %G-W%V"], {
        input: times.map((seconds) => `@${seconds}\n`).join(""),
        env: { TZ: zone },
        encoding: "utf8"
      })
      assert.deepStrictEqual(
        times.map((seconds) => namesIn(zone, seconds)),
        stdout.trimEnd().split("\n"),
        zone
      )
    }
  })
})
