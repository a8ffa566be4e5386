/** Proxmox Backup Server's rules, case by case. Snapshots are numbers: their times. */
import { assert, describe, it } from "@effect/vitest"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as GroupFilter from "../../src/sync/GroupFilter.ts"
import type { ListedGroup, ListedSnapshot, ManifestState } from "../../src/sync/ListedSnapshot.ts"
import * as SyncRules from "../../src/sync/SyncRules.ts"

const group = BackupGroup.parse("vm/100")

const good: ManifestState = { verified: "ok", encrypted: "all", sizeBytes: 1 }

/**
 * `3` is finished; letters before it: `u` unfinished, `p` protected, `v` not verified, `f` failed its verification, `n`
 * not encrypted, `s` encrypted in parts, `x` unreadable.
 */
const listed = (text: string): ListedSnapshot => {
  const time = Number(text.replace(/^[a-z]+/, ""))
  const has = (flag: string): boolean => text.includes(flag)
  const state: ManifestState = {
    ...good,
    verified: has("f") ? "failed" : has("v") ? "none" : "ok",
    encrypted: has("n") ? "none" : has("s") ? "some" : "all"
  }
  return {
    snapshot: Snapshot.make(group, time),
    finished: !has("u"),
    protected: has("p"),
    manifest: has("u") ? undefined : has("x") ? "unreadable" : state
  }
}

const list = (text: string): ReadonlyArray<ListedSnapshot> => (text === "" ? [] : text.split(" ").map(listed))

const options: SyncRules.SelectionOptions = {
  direction: "pull",
  transferLast: undefined,
  resyncCorrupt: false,
  encryptedOnly: false,
  verifiedOnly: false
}

const push = { direction: "push" } as const

interface Case {
  readonly name: string
  readonly source: string
  readonly target: string
  readonly options?: Partial<SyncRules.SelectionOptions>
  /** What is not skipped, and why the others are. */
  readonly plan: string
}

const cases: ReadonlyArray<Case> = [
  { name: "an empty target gets everything", source: "1 2 3", target: "", plan: "copy 1, copy 2, copy 3" },
  {
    name: "a pull looks at the newest again",
    source: "1 2 3",
    target: "1 2",
    plan: "1 already synced, check 2, copy 3"
  },
  {
    name: "a push never looks back",
    source: "1 2 3",
    target: "1 2",
    options: push,
    plan: "1 already synced, 2 already synced, copy 3"
  },
  {
    name: "older ones that the target lacks stay where they are",
    source: "1 2 3",
    target: "2",
    plan: "1 already synced, check 2, copy 3"
  },
  {
    name: "an unfinished one of the target does not count",
    source: "1 2 3",
    target: "1 u2",
    plan: "check 1, copy 2, copy 3"
  },
  { name: "what is in progress is skipped", source: "1 u2", target: "", plan: "copy 1, 2 in progress" },
  { name: "what cannot be read is skipped", source: "x1 2", target: "", plan: "1 unreadable, copy 2" },
  {
    name: "transfer-last takes the newest",
    source: "1 2 3 4",
    target: "",
    options: { transferLast: 2 },
    plan: "1 transfer-last, 2 transfer-last, copy 3, copy 4"
  },
  {
    name: "transfer-last more than there are",
    source: "1 2",
    target: "",
    options: { transferLast: 5 },
    plan: "copy 1, copy 2"
  },
  {
    name: "the newest of the target is looked at though transfer-last passes it over",
    source: "1 2 3 4",
    target: "1 2",
    options: { transferLast: 1 },
    plan: "1 already synced, check 2, 3 transfer-last, copy 4"
  },
  {
    name: "transfer-last counts only what is not filtered",
    source: "1 2 v3 u4",
    target: "",
    options: { transferLast: 1, verifiedOnly: true },
    plan: "1 transfer-last, copy 2, 3 not verified, 4 in progress"
  },
  {
    name: "verified-only wants a good verification",
    source: "1 v2 f3",
    target: "",
    options: { verifiedOnly: true },
    plan: "copy 1, 2 not verified, 3 not verified"
  },
  {
    name: "encrypted-only wants all archives encrypted",
    source: "1 n2 s3",
    target: "",
    options: { encryptedOnly: true },
    plan: "copy 1, 2 not encrypted, 3 not encrypted"
  },
  {
    name: "without filters the state does not matter",
    source: "v1 f2 n3 s4",
    target: "",
    plan: "copy 1, copy 2, copy 3, copy 4"
  },
  {
    name: "resync-corrupt repairs what failed, however old",
    source: "1 2 3",
    target: "f1 2 3",
    options: { resyncCorrupt: true },
    plan: "repair 1, 2 already synced, check 3"
  },
  {
    name: "resync-corrupt repairs what cannot be read or was never finished",
    source: "1 2 3",
    target: "x1 u2 3",
    options: { resyncCorrupt: true },
    plan: "repair 1, repair 2, check 3"
  },
  {
    name: "resync-corrupt goes past transfer-last",
    source: "1 2 3",
    target: "f1",
    options: { resyncCorrupt: true, transferLast: 1 },
    plan: "repair 1, 2 transfer-last, copy 3"
  },
  {
    name: "without resync-corrupt what failed stays",
    source: "1 2",
    target: "f1 2",
    plan: "1 already synced, check 2"
  },
  {
    name: "resync-corrupt does not bring back what was removed",
    source: "1 2",
    target: "2",
    options: { resyncCorrupt: true },
    plan: "1 already synced, check 2"
  },
  { name: "an empty source gives nothing", source: "", target: "1 2", plan: "" },
  {
    name: "a target that is ahead gets nothing, and nothing of it is looked at",
    source: "1 2",
    target: "1 2 3",
    plan: "1 already synced, 2 already synced"
  },
  {
    name: "what is encrypted in parts is copied when nobody asks",
    source: "s1 n2",
    target: "",
    options: push,
    plan: "copy 1, copy 2"
  },
  {
    name: "the newest of the target is not looked at when a filter passes it over",
    source: "1 v2 3",
    target: "1 2",
    options: { verifiedOnly: true },
    plan: "1 already synced, 2 not verified, copy 3"
  },
  {
    name: "in progress and unreadable come before every other reason",
    source: "u1 x2 3",
    target: "1 2 3",
    options: { verifiedOnly: true, encryptedOnly: true, transferLast: 1 },
    plan: "1 in progress, 2 unreadable, check 3"
  },
  {
    name: "not verified comes before not encrypted",
    source: "vn1 n2 v3 4",
    target: "",
    options: { verifiedOnly: true, encryptedOnly: true },
    plan: "1 not verified, 2 not encrypted, 3 not verified, copy 4"
  },
  {
    name: "already synced comes before transfer-last",
    source: "1 2 3 4 5",
    target: "2",
    options: { transferLast: 1 },
    plan: "1 already synced, check 2, 3 transfer-last, 4 transfer-last, copy 5"
  },
  {
    name: "transfer-last is counted on the source, not on what is new",
    source: "1 2 3",
    target: "1 2",
    options: { transferLast: 2 },
    plan: "1 already synced, check 2, copy 3"
  },
  {
    name: "transfer-last in a push",
    source: "1 2 3 4",
    target: "2",
    options: { ...push, transferLast: 1 },
    plan: "1 already synced, 2 already synced, 3 transfer-last, copy 4"
  },
  {
    name: "transfer-last leaves an unfinished one of the target as it is",
    source: "1 2 3",
    target: "1 u2",
    options: { transferLast: 1 },
    plan: "check 1, 2 transfer-last, copy 3"
  },
  {
    name: "an unfinished one in a push is copied again, unless there is a newer one",
    source: "1 2 3 4",
    target: "u1 2 u3",
    options: push,
    plan: "1 already synced, 2 already synced, copy 3, copy 4"
  },
  {
    name: "a target of which nothing is finished gets everything",
    source: "1 2",
    target: "u1 u2",
    plan: "copy 1, copy 2"
  },
  {
    name: "resync-corrupt repairs the newest instead of looking at it",
    source: "1 2",
    target: "1 f2",
    options: { resyncCorrupt: true },
    plan: "1 already synced, repair 2"
  },
  {
    name: "resync-corrupt takes nothing that a filter passes over",
    source: "v1 n2 u3 4",
    target: "f1 f2 f3 4",
    options: { resyncCorrupt: true, verifiedOnly: true, encryptedOnly: true },
    plan: "1 not verified, 2 not encrypted, 3 in progress, check 4"
  },
  {
    name: "resync-corrupt leaves alone what was never verified, or is protected and good",
    source: "1 2 3",
    target: "v1 p2 3",
    options: { resyncCorrupt: true },
    plan: "1 already synced, 2 already synced, check 3"
  },
  {
    name: "resync-corrupt repairs what is protected",
    source: "1 2",
    target: "pf1 2",
    options: { resyncCorrupt: true },
    plan: "repair 1, check 2"
  }
]

const textOf = ({ action, reason, snapshot }: SyncRules.Selected): string =>
  action === "skip" ? `${snapshot.time} ${reason}` : `${action} ${snapshot.time}`

describe("which snapshots are copied", () => {
  for (const one of cases) {
    it(one.name, () => {
      const selected = SyncRules.select(list(one.source), list(one.target), { ...options, ...one.options })
      assert.strictEqual(selected.map(textOf).join(", "), one.plan)
    })
  }
})

describe("what vanished", () => {
  const removals: ReadonlyArray<readonly [source: string, target: string, gone: string]> = [
    ["1 2 3", "1 2", ""],
    ["2 3", "1 2", "1"],
    ["", "1 p2", "1 p2"],
    // A snapshot that filters pass over, or that is in progress, is still there.
    ["v1 n2 u3 x4", "1 2 3 4 5", "5"],
    ["2", "u1 2", "1"],
    ["1 2", "1 2", ""],
    ["2 4", "1 2 3 4 5", "1 3 5"],
    // Its own state says nothing about whether it is on the source.
    ["3", "f1 x2 3", "1 2"],
    ["3", "pu1 pf2 3", "p1 p2"]
  ]
  for (const [source, target, gone] of removals) {
    it(`of ${target} when the source has ${source || "nothing"} is ${gone || "nothing"}`, () => {
      const found = SyncRules.vanishedSnapshots(list(source), list(target))
      const text = found.map((one) => `${one.protected ? "p" : ""}${one.snapshot.time}`).join(" ")
      assert.strictEqual(text, gone)
    })
  }

  const groupOf = (text: string): ListedGroup => {
    const [name = "", owner] = text.split(":")
    return {
      group: BackupGroup.parse(name),
      owner: owner === undefined ? undefined : AuthId.parse(owner)
    }
  }

  it("are groups of the owner, or of its tokens, that the filters take and the source has not", () => {
    const source = [groupOf("vm/1:a@pbs"), groupOf("vm/2")]
    const target = [
      "vm/1:a@pbs",
      "vm/2:a@pbs",
      "vm/3:a@pbs",
      "vm/4:a@pbs!t",
      "vm/5:b@pbs",
      "ct/6:a@pbs",
      "vm/7"
    ]
    const gone = SyncRules.vanishedGroups(source, target.map(groupOf), {
      groupFilters: [GroupFilter.parse("type:vm")],
      owner: AuthId.parse("a@pbs")
    })
    assert.deepStrictEqual(
      gone.map((one) => BackupGroup.format(one.group)),
      ["vm/3", "vm/4"]
    )
  })

  const vanishing: ReadonlyArray<readonly [owner: string, filters: string, gone: string]> = [
    ["a@pbs", "", "vm/1 ct/2 vm/3"],
    ["a@pbs", "type:ct", "ct/2"],
    ["a@pbs", "exclude:group:vm/1", "ct/2 vm/3"],
    ["a@pbs", "exclude:type:vm exclude:type:ct", ""],
    // A token has only its own.
    ["a@pbs!t", "", "vm/3"],
    ["b@pbs", "", "vm/4"],
    ["c@pbs", "", ""]
  ]
  for (const [owner, filters, gone] of vanishing) {
    it(`of groups are ${gone || "none"} for ${owner} with ${filters || "no filter"}`, () => {
      const target = ["vm/1:a@pbs", "ct/2:a@pbs", "vm/3:a@pbs!t", "vm/4:b@pbs", "vm/5", "vm/6:a@pbs"]
      const found = SyncRules.vanishedGroups([groupOf("vm/6:z@pbs")], target.map(groupOf), {
        groupFilters: filters.split(" ").flatMap((text) => (text === "" ? [] : [GroupFilter.parse(text)])),
        owner: AuthId.parse(owner)
      })
      assert.strictEqual(found.map((one) => BackupGroup.format(one.group)).join(" "), gone)
    })
  }
})

describe("whose groups are synced", () => {
  const owners: ReadonlyArray<readonly [actual: string, owner: string, pull: string, push: string]> = [
    ["a@pbs", "a@pbs", "fine", "fine"],
    ["a@pbs!t", "a@pbs", "fail", "fine"],
    ["a@pbs", "a@pbs!t", "fail", "skip"],
    ["b@pbs", "a@pbs", "fail", "skip"]
  ]
  for (const [actual, owner, pulled, pushed] of owners) {
    it(`${owner} meets a group of ${actual}`, () => {
      const judge = (direction: "pull" | "push") =>
        SyncRules.judgeOwner(direction, AuthId.parse(actual), AuthId.parse(owner))
      assert.deepStrictEqual([judge("pull"), judge("push")], [pulled, pushed])
    })
  }
})

describe("what is skipped is told", () => {
  it("in one line a reason, with the oldest and the newest", () => {
    const day = 86_400
    const source = [0, 1, 2, 3].map((number) => listed(String(number * day)))
    const selected = SyncRules.select(source, [listed(String(2 * day))], { ...options, ...push })
    assert.deepStrictEqual(SyncRules.skipLines(selected), [
      "skipped: 3 snapshots (1970-01-01T00:00:00Z .. 1970-01-03T00:00:00Z)" +
        " - older than the newest snapshot present on sync target"
    ])
    assert.isEmpty(SyncRules.skipLines(SyncRules.select(source, [], options)))
    const mixed = ["u0", `v${day}`, `u${2 * day}`, `x${3 * day}`].map(listed)
    assert.deepStrictEqual(
      SyncRules.skipLines(SyncRules.select(mixed, [], { ...options, verifiedOnly: true })),
      [
        "skipped: 2 snapshots (1970-01-01T00:00:00Z .. 1970-01-03T00:00:00Z) - in progress",
        "skipped: 1 snapshot (1970-01-02T00:00:00Z .. 1970-01-02T00:00:00Z) - not verified",
        "skipped: 1 snapshot (1970-01-04T00:00:00Z .. 1970-01-04T00:00:00Z) - unreadable"
      ]
    )
    const last = SyncRules.select(source.slice(0, 2), [], { ...options, transferLast: 1 })
    assert.deepStrictEqual(SyncRules.skipLines(last), [
      "skipped: 1 snapshot (1970-01-01T00:00:00Z .. 1970-01-01T00:00:00Z) - due to transfer-last"
    ])
  })
})
