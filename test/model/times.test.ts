import { assert, describe, it } from "@effect/vitest"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as BackupTime from "../../src/model/BackupTime.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as TaskId from "../../src/model/TaskId.ts"

describe("BackupTime", () => {
  it("knows the calendar", () => {
    const known: ReadonlyArray<readonly [string, number]> = [
      ["1970-01-01T00:00:00Z", 0],
      ["2020-06-26T13:56:05Z", 1_593_179_765],
      ["2024-02-29T12:34:56Z", 1_709_210_096],
      ["2000-02-29T23:59:59Z", 951_868_799],
      ["1969-12-31T23:59:59Z", -1],
      ["0000-01-01T00:00:00Z", BackupTime.minSeconds],
      ["9999-12-31T23:59:59Z", BackupTime.maxSeconds]
    ]
    for (const [text, seconds] of known) {
      assert.strictEqual(BackupTime.parse(text), seconds)
      assert.strictEqual(BackupTime.format(seconds), text)
    }
  })

  it("refuses times that do not exist and other spellings", () => {
    const bad = [
      "2023-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-01-00T00:00:00Z",
      "2026-01-01T24:00:00Z",
      "2026-01-01T00:60:00Z",
      "2026-01-01T00:00:60Z",
      "2026-1-1T00:00:00Z",
      "2026-01-01 00:00:00Z",
      "2026-01-01T00:00:00",
      "2026-01-01T00:00:00z",
      "2026-01-01T00:00:00+00:00",
      "2026-01-01T00:00:00.0Z",
      "2026-01-01T00:00:00Z\n",
      "12026-01-01T00:00:00Z",
      ""
    ]
    for (const text of bad) assert.throws(() => BackupTime.parse(text), InvalidName, "bad backup time")
    for (const seconds of [0.5, Number.NaN, Infinity, BackupTime.maxSeconds + 1, BackupTime.minSeconds - 1]) {
      assert.isFalse(BackupTime.isBackupTime(seconds))
      assert.throws(() => BackupTime.format(seconds), InvalidName, "bad backup time")
    }
  })
})

describe("Snapshot", () => {
  const snapshot = Snapshot.parse("host/x/2026-11-21T10:00:00Z")

  it("reads and writes type/id/time", () => {
    assert.deepStrictEqual(snapshot, Snapshot.make(BackupGroup.make("host", "x"), 1_795_255_200))
    assert.deepStrictEqual(snapshot, Snapshot.fromDirectory(snapshot.group, "2026-11-21T10:00:00Z"))
    assert.strictEqual(Snapshot.format(snapshot), "host/x/2026-11-21T10:00:00Z")
    for (const bad of [
      "",
      "x",
      "host/x",
      "host/x/",
      "host/x/now",
      "2026-11-21T10:00:00Z",
      "a/host/x/2026-11-21T10:00:00Z"
    ]) {
      assert.throws(() => Snapshot.parse(bad), InvalidName)
    }
  })

  it("has a path below its namespace", () => {
    const namespace = Namespace.parse("team/dev")
    assert.strictEqual(Snapshot.toPath(namespace, snapshot), "ns/team/ns/dev/host/x/2026-11-21T10:00:00Z")
    assert.strictEqual(Snapshot.toPath(Namespace.root, snapshot), "host/x/2026-11-21T10:00:00Z")
    assert.strictEqual(Snapshot.groupPath(namespace, snapshot.group), "ns/team/ns/dev/host/x")
    assert.strictEqual(Snapshot.groupPath(Namespace.root, snapshot.group), "host/x")
  })

  it("sorts by group, then oldest first", () => {
    const texts = ["ct/9/2026-01-01T00:00:00Z", "host/x/2025-01-01T00:00:00Z", "host/x/2026-01-01T00:00:00Z"]
    const sorted = texts.toReversed().map(Snapshot.parse).sort(Snapshot.order)
    assert.deepStrictEqual(sorted.map(Snapshot.format), texts)
  })
})

describe("TaskId", () => {
  const fields = {
    node: "vm",
    pid: 0x343b,
    pstart: 0x6ed60,
    taskId: 0xf,
    starttime: 0x6b012434,
    workerType: "verify_snapshot",
    workerId: "",
    authId: AuthId.parse("root@pam")
  }
  const text = "UPID:vm:0000343B:0006ED60:0000000F:6B012434:verify_snapshot::root@pam:"

  it("reads and writes what the reference writes", () => {
    assert.deepStrictEqual(TaskId.parse(text), fields)
    assert.strictEqual(TaskId.format(TaskId.make(fields)), text)
    assert.deepStrictEqual(TaskId.parse(text.replace("343B", "343b")), fields)
  })

  it("escapes the worker id", () => {
    const workerId = "store:host/x-1/ü"
    const escaped = TaskId.format({ ...fields, workerId })
    assert.include(escaped, String.raw`:store\x3ahost-x\x2d1-\xc3\xbc:`)
    assert.strictEqual(TaskId.parse(escaped).workerId, workerId)
    assert.include(TaskId.format({ ...fields, workerId: ".a.b" }), String.raw`:\x2ea.b:`)
  })

  it("refuses other texts", () => {
    const bad = [
      "",
      text.slice(0, -1),
      `${text}\n`,
      text.replace("UPID", "upid"),
      text.replace(":vm:", ":-vm:"),
      text.replace(":vm:", `:${"v".repeat(64)}:`),
      text.replace("0000343B", "343B"),
      text.replace("0000343B", "8000343B"),
      text.replace("0000000F", "FFFFFFFFFFFFFFFF"),
      text.replace("root@pam", "root"),
      text.replace("::root", String.raw`:\xZZ:root`),
      text.replace("::root", String.raw`:\xff:root`),
      text.replace("::root", ":ü:root")
    ]
    for (const wrong of bad) assert.throws(() => TaskId.parse(wrong), InvalidName)
  })

  it("refuses fields that have no text form", () => {
    const bad: ReadonlyArray<Partial<TaskId.TaskId>> = [
      { node: "a.b" },
      { pid: -1 },
      { pid: 2 ** 31 },
      { pstart: 2 ** 36 },
      { taskId: 0.5 },
      { starttime: 2 ** 32 },
      { workerType: "a:b" },
      { workerType: "" },
      { workerId: "\ud800" }
    ]
    for (const change of bad) assert.throws(() => TaskId.make({ ...fields, ...change }), InvalidName)
  })
})
