/** Decision: cases worked out by hand, and laws that hold for every group and retention. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CalendarTime from "../../src/model/CalendarTime.ts"
import * as Retention from "../../src/model/Retention.ts"
import * as Decision from "../../src/prune/Decision.ts"
import { anyFixedZone, anyGroup, anyRetention, candidate, keptNames, oracle, told } from "./decisions.ts"

const decide = (names: ReadonlyArray<string>, retention: Retention.Retention, zone = "UTC") =>
  told(Decision.decide(names.map(candidate), retention, CalendarTime.make(zone)))

const noRule = "removed: no rule keeps it"

describe("Decision, by hand", () => {
  it("explains every rule", () => {
    const names = [
      "2026-11-20T18:00:00Z",
      "2026-11-20T17:30:00Z",
      "2026-11-20T17:10:00Z",
      "2026-11-20T09:00:00Z",
      "2026-11-19T09:00:00Z",
      "2026-11-18T09:00:00Z",
      "2026-11-13T09:00:00Z",
      "2026-10-31T09:00:00Z",
      "2025-12-31T09:00:00Z",
      "2025-01-01T09:00:00Z"
    ]
    const retention = { last: 1, hourly: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 }
    // 17:10 is in an hour that is kept; 09:00 in a day, the 18th in a week, December in a year that are.
    assert.deepStrictEqual(decide(names, retention), [
      "2026-11-20T18:00:00Z kept: last 1",
      "2026-11-20T17:30:00Z kept: hourly 2026-11-20 17:00",
      `2026-11-20T17:10:00Z ${noRule}`,
      `2026-11-20T09:00:00Z ${noRule}`,
      "2026-11-19T09:00:00Z kept: daily 2026-11-19",
      `2026-11-18T09:00:00Z ${noRule}`,
      "2026-11-13T09:00:00Z kept: weekly 2026-W46",
      "2026-10-31T09:00:00Z kept: monthly 2026-10",
      "2025-12-31T09:00:00Z kept: yearly 2025",
      `2025-01-01T09:00:00Z ${noRule}`
    ])
  })

  it("numbers the last ones, whatever order they come in", () => {
    const names = ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"]
    assert.deepStrictEqual(decide(names, { last: 2 }), [
      "2026-01-03T00:00:00Z kept: last 1",
      "2026-01-02T00:00:00Z kept: last 2",
      `2026-01-01T00:00:00Z ${noRule}`
    ])
  })

  it("a rule passes over periods that an earlier one has covered, without spending a slot", () => {
    const names = [
      "2026-01-03T20:00:00Z",
      "2026-01-03T10:00:00Z",
      "2026-01-02T20:00:00Z",
      "2026-01-01T20:00:00Z"
    ]
    assert.deepStrictEqual(decide(names, { last: 1, daily: 2 }), [
      "2026-01-03T20:00:00Z kept: last 1",
      `2026-01-03T10:00:00Z ${noRule}`,
      "2026-01-02T20:00:00Z kept: daily 2026-01-02",
      "2026-01-01T20:00:00Z kept: daily 2026-01-01"
    ])
  })

  it("what a rule gives up no later rule takes", () => {
    // The hourly rule gives 10:10 up; the yearly one would have its year covered anyway: it must not choose it.
    const names = ["2026-01-03T10:50:00Z", "2026-01-03T10:10:00Z", "2025-06-01T00:00:00Z"]
    assert.deepStrictEqual(decide(names, { hourly: 1, yearly: 2 }), [
      "2026-01-03T10:50:00Z kept: hourly 2026-01-03 10:00",
      `2026-01-03T10:10:00Z ${noRule}`,
      "2025-06-01T00:00:00Z kept: yearly 2025"
    ])
    // Week 31 of 2026 reaches into August. Without the weekly rule July would keep the 30th.
    const weeks = ["2026-08-01T00:00:00Z", "2026-07-30T00:00:00Z", "2026-07-20T00:00:00Z"]
    assert.deepStrictEqual(decide(weeks, { weekly: 1, monthly: 1 }), [
      "2026-08-01T00:00:00Z kept: weekly 2026-W31",
      `2026-07-30T00:00:00Z ${noRule}`,
      "2026-07-20T00:00:00Z kept: monthly 2026-07"
    ])
  })

  it("protected snapshots stay and take no slot, nor do they cover their period", () => {
    const names = [
      "p2026-01-03T20:00:00Z",
      "2026-01-03T10:00:00Z",
      "p2026-01-02T00:00:00Z",
      "2026-01-01T00:00:00Z"
    ]
    assert.deepStrictEqual(decide(names, { daily: 1 }), [
      "2026-01-03T20:00:00Z kept: protected",
      "2026-01-03T10:00:00Z kept: daily 2026-01-03",
      "2026-01-02T00:00:00Z kept: protected",
      `2026-01-01T00:00:00Z ${noRule}`
    ])
  })

  it("only an unfinished snapshot that is the newest of all stays", () => {
    const names = [
      "u2026-01-04T00:00:00Z",
      "u2026-01-03T00:00:00Z",
      "2026-01-02T00:00:00Z",
      "u2026-01-01T00:00:00Z"
    ]
    assert.deepStrictEqual(decide(names, { last: 1 }), [
      "2026-01-04T00:00:00Z kept: unfinished, perhaps still running",
      "2026-01-03T00:00:00Z removed: an older unfinished backup",
      "2026-01-02T00:00:00Z kept: last 1",
      "2026-01-01T00:00:00Z removed: an older unfinished backup"
    ])
    assert.deepStrictEqual(decide(["2026-01-02T00:00:00Z", "up2026-01-01T00:00:00Z"], { last: 1 }), [
      "2026-01-02T00:00:00Z kept: last 1",
      "2026-01-01T00:00:00Z kept: protected"
    ])
  })

  it("no rule, or only rules of 0, keep everything", () => {
    const names = ["u2026-01-03T00:00:00Z", "p2026-01-02T00:00:00Z", "u2026-01-01T00:00:00Z"]
    for (const retention of [{}, { last: 0, weekly: 0 }]) {
      assert.deepStrictEqual(decide(names, retention), [
        "2026-01-03T00:00:00Z kept: no rule was given",
        "2026-01-02T00:00:00Z kept: protected",
        "2026-01-01T00:00:00Z kept: no rule was given"
      ])
    }
  })

  it("an hour that clocks show twice is one hour", () => {
    const vienna = ["2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-24T23:30:00Z"]
    assert.deepStrictEqual(decide(vienna, { hourly: 2 }, "Europe/Vienna"), [
      "2026-10-25T01:30:00Z kept: hourly 2026-10-25 02:00",
      `2026-10-25T00:30:00Z ${noRule}`,
      "2026-10-24T23:30:00Z kept: hourly 2026-10-25 01:00"
    ])
    const newYork = ["2026-11-01T06:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T04:30:00Z"]
    assert.deepStrictEqual(decide(newYork, { hourly: 2 }, "America/New_York"), [
      "2026-11-01T06:30:00Z kept: hourly 2026-11-01 01:00",
      `2026-11-01T05:30:00Z ${noRule}`,
      "2026-11-01T04:30:00Z kept: hourly 2026-11-01 00:00"
    ])
    assert.strictEqual(decide(vienna, { hourly: 2 }).filter((line) => line.includes("kept")).length, 2)
  })

  it("the zone decides which day, month and year it is", () => {
    const names = ["2026-12-31T23:30:00Z", "2026-12-31T22:30:00Z"]
    assert.deepStrictEqual(decide(names, { yearly: 2 }, "Europe/Vienna"), [
      "2026-12-31T23:30:00Z kept: yearly 2027",
      "2026-12-31T22:30:00Z kept: yearly 2026"
    ])
    assert.deepStrictEqual(decide(names, { yearly: 2 }), [
      "2026-12-31T23:30:00Z kept: yearly 2026",
      `2026-12-31T22:30:00Z ${noRule}`
    ])
  })

  it("week 53 goes on into January", () => {
    const names = [
      "2027-01-04T00:00:00Z",
      "2027-01-03T00:00:00Z",
      "2026-12-28T00:00:00Z",
      "2026-12-27T00:00:00Z"
    ]
    assert.deepStrictEqual(decide(names, { weekly: 3 }), [
      "2027-01-04T00:00:00Z kept: weekly 2027-W01",
      "2027-01-03T00:00:00Z kept: weekly 2026-W53",
      `2026-12-28T00:00:00Z ${noRule}`,
      "2026-12-27T00:00:00Z kept: weekly 2026-W52"
    ])
  })

  it("a leap day is a day of February", () => {
    const names = ["2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z", "2024-02-28T00:00:00Z"]
    assert.deepStrictEqual(decide(names, { monthly: 3 }), [
      "2024-03-01T00:00:00Z kept: monthly 2024-03",
      "2024-02-29T00:00:00Z kept: monthly 2024-02",
      `2024-02-28T00:00:00Z ${noRule}`
    ])
  })

  it("one more week can cost a month its snapshot, as in Proxmox Backup Server", () => {
    const names = ["2026-08-01T00:00:00Z", "2026-07-30T00:00:00Z", "2026-07-20T00:00:00Z"]
    assert.deepStrictEqual(decide(names, { last: 1, monthly: 1 }), [
      "2026-08-01T00:00:00Z kept: last 1",
      "2026-07-30T00:00:00Z kept: monthly 2026-07",
      `2026-07-20T00:00:00Z ${noRule}`
    ])
    assert.deepStrictEqual(decide(names, { last: 1, weekly: 1, monthly: 1 }), [
      "2026-08-01T00:00:00Z kept: last 1",
      `2026-07-30T00:00:00Z ${noRule}`,
      "2026-07-20T00:00:00Z kept: weekly 2026-W30"
    ])
  })
})

const runs = { numRuns: 500 }

/** Zones whose clocks change, and one without. */
const anyZone = fc.constantFrom("UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe")

const decideIn = (group: ReadonlyArray<Decision.Candidate>, retention: Retention.Retention, zone: string) =>
  Decision.decide(group, retention, CalendarTime.make(zone))

describe("Decision, laws", () => {
  it("keeps what the definition says", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyFixedZone, (group, retention, zone) => {
        const kept = keptNames(decideIn(group, retention, zone.name))
        assert.deepStrictEqual(kept, oracle(group, retention, zone.hours))
      }),
      { numRuns: 1500 }
    )
  })

  it("tells of every snapshot once, newest first, with a reason that fits", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const decisions = decideIn(group, retention, zone)
        const times = group.map(({ snapshot }) => snapshot.time)
        assert.deepStrictEqual(
          decisions.map(({ snapshot }) => snapshot.time),
          times.toSorted((left, right) => right - left)
        )
        for (const { keep, reason } of decisions)
          assert.isTrue(reason.startsWith(keep ? "kept: " : "removed: "), reason)
      }),
      runs
    )
  })

  it("a rule keeps at most as many as it has slots, and no period twice", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const reasons = decideIn(group, retention, zone).map(({ reason }) => reason)
        for (const rule of Retention.rules) {
          const own = reasons.filter((reason) => reason.startsWith(`kept: ${rule} `))
          assert.isAtMost(own.length, retention[rule] ?? 0)
          assert.strictEqual(new Set(own).size, own.length)
        }
      }),
      runs
    )
  })

  it("keeps the newest finished snapshot, everything protected, and the newest of all", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const decisions = decideIn(group, retention, zone)
        assert.notStrictEqual(decisions.find(({ finished }) => finished)?.keep, false)
        assert.notStrictEqual(decisions[0]?.keep, false)
        assert.isTrue(decisions.every((decision) => decision.keep || !decision.protected))
      }),
      runs
    )
  })

  it("protected ones have no part in what becomes of the others", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const finished = group.filter((item) => item.finished)
        const others = finished.filter((item) => !item.protected)
        assert.deepStrictEqual(
          decideIn(finished, retention, zone).filter((item) => !item.protected),
          decideIn(others, retention, zone)
        )
      }),
      runs
    )
  })

  it("pruning again removes nothing", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const kept = decideIn(group, retention, zone).filter(({ keep }) => keep)
        assert.deepStrictEqual(decideIn(kept, retention, zone), kept)
      }),
      runs
    )
  })

  it("a rule of 0 is no rule", () => {
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, (group, retention, zone) => {
        const positive = Object.fromEntries(Object.entries(retention).filter(([, count]) => count > 0))
        assert.deepStrictEqual(decideIn(group, retention, zone), decideIn(group, positive, zone))
      }),
      runs
    )
  })

  it("more slots keep all that fewer kept, where no week is involved", () => {
    const anyRule = fc.constantFrom(...Retention.rules.filter((rule) => rule !== "weekly"))
    fc.assert(
      fc.property(anyGroup, anyRetention, anyZone, anyRule, (group, anyRules, zone, rule) => {
        const retention = { ...anyRules, weekly: 0 }
        fc.pre(Retention.keepsSomething(retention))
        const fewer = keptNames(decideIn(group, retention, zone))
        const more = keptNames(decideIn(group, { ...retention, [rule]: (retention[rule] ?? 0) + 1 }, zone))
        assert.deepStrictEqual(
          fewer.filter((name) => !more.includes(name)),
          []
        )
      }),
      runs
    )
  })
})
