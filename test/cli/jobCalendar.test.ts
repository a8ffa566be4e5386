/** Calendar events: what they mean, and the same for systemd and cron. */
import { assert, describe, it } from "@effect/vitest"
import * as CalendarEvent from "../../src/cli/CalendarEvent.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"

/** An event, and what it is for systemd and for cron; undefined where cron cannot be told. */
const cases: ReadonlyArray<readonly [string, string, string | undefined]> = [
  ["daily", "*-*-* 00:00:00", "0 0 * * *"],
  ["Hourly", "*-*-* *:00:00", "0 * * * *"],
  ["minutely", "*-*-* *:*:00", "* * * * *"],
  ["weekly", "Mon *-*-* 00:00:00", "0 0 * * 1"],
  ["monthly", "*-*-01 00:00:00", "0 0 1 * *"],
  ["yearly", "*-01-01 00:00:00", "0 0 1 1 *"],
  ["quarterly", "*-01,04,07,10-01 00:00:00", "0 0 1 1,4,7,10 *"],
  ["semi-annually", "*-01,07-01 00:00:00", "0 0 1 1,7 *"],
  ["02:30", "*-*-* 02:30:00", "30 2 * * *"],
  ["30", "*-*-* *:30:00", "30 * * * *"],
  ["0/5", "*-*-* *:00/5:00", "*/5 * * * *"],
  ["*/5", "*-*-* *:00/5:00", "*/5 * * * *"],
  ["5/20", "*-*-* *:05/20:00", "5-59/20 * * * *"],
  ["8..17:0/15", "*-*-* 08..17:00/15:00", "*/15 8-17 * * *"],
  ["8,12..14:30", "*-*-* 08,12..14:30:00", "30 8,12-14 * * *"],
  ["sat", "Sat *-*-* 00:00:00", "0 0 * * 6"],
  ["mon..fri 22:00", "Mon,Tue,Wed,Thu,Fri *-*-* 22:00:00", "0 22 * * 1,2,3,4,5"],
  ["sunday,Wed 4:05", "Wed,Sun *-*-* 04:05:00", "5 4 * * 3,7"],
  ["mon..sun 4:00", "*-*-* 04:00:00", "0 4 * * *"],
  ["*-1 4:00", "*-*-01 04:00:00", "0 4 1 * *"],
  ["*-*-1..7 4:00", "*-*-01..07 04:00:00", "0 4 1-7 * *"],
  ["2027-05-01 4:00", "2027-05-01 04:00:00", undefined],
  ["4:00:30", "*-*-* 04:00:30", undefined],
  ["*:*:*", "*-*-* *:*:*", undefined],
  ["4:00 UTC", "*-*-* 04:00:00 UTC", undefined]
]

const words = ["", "often", "mo 4:00", "fri..mon", "mon,", "4:00 mon", "4:00 5:00"]
const times = [
  "24:00",
  "4:60",
  "4:00:60",
  "17..8:00",
  "1:2:3:4",
  "5/0",
  "5/",
  "..5",
  "1...3",
  "4:",
  ":4",
  "0x4:00"
]
const dates = ["*-32", "13-1", "1-1-1-1", "-1"]

describe("calendar events", () => {
  for (const [text, systemd, cron] of cases) {
    it(`${text} is told to systemd and cron`, () => {
      const event = CalendarEvent.parse(text)
      assert.strictEqual(CalendarEvent.toSystemd(event), systemd)
      const told = CalendarEvent.toCron(event)
      if (cron === undefined) return assert.isString(told)
      assert.deepStrictEqual(told, { fields: cron, onWeekdays: [] })
    })
  }

  it("leave weekdays to the command where cron would take any of both", () => {
    const told = CalendarEvent.toCron(CalendarEvent.parse("sat,sun *-1..7 15:00"))
    assert.deepStrictEqual(told, { fields: "0 15 1-7 * *", onWeekdays: [6, 7] })
  })

  for (const text of [...words, ...times, ...dates]) {
    it(`${JSON.stringify(text)} is none`, () => {
      assert.throws(() => CalendarEvent.parse(text), InvalidName)
    })
  }

  it("are read again from what systemd was told", () => {
    for (const [text, systemd] of cases) {
      const again = CalendarEvent.parse(systemd)
      assert.strictEqual(CalendarEvent.toSystemd(again), systemd, text)
    }
  })
})
