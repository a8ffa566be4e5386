/** REST: what is listed, noted, removed and downloaded, and who may do it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { existsSync, readFileSync } from "node:fs"
import * as AuthId from "../../src/model/AuthId.ts"
import * as UserRecords from "../../src/server/users/UserRecords.ts"
import type { Role } from "../../src/server/users/Permissions.ts"
import { platform } from "../store/stores.ts"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const time = 1_750_000_000
const archives: ReadonlyArray<scene.Archive> = [
  { name: "root.pxar.didx", chunks: [scene.chunkOf(scene.content(1, 20_000))] }
]
const below = "/api2/json/admin/datastore/store1"

const live = (title: string, test: (scene: scene.Scene) => Promise<void>) =>
  it.live(title, () => Effect.flatMap(scene.make, (made) => Effect.promise(() => test(made))))

const asker =
  (made: scene.Scene, headers = made.admin) =>
  (method: string, target: string, asked: client.Asked = {}) =>
    client.ask(made.port, target, { method, ...asked, headers: { ...headers, ...asked.headers } })

type Query = NonNullable<client.Asked["query"]>

const snapshot = { "backup-type": "host", "backup-id": "t1", "backup-time": time }
const group = { "backup-type": "host", "backup-id": "t1" }

describe.concurrent("REST", () => {
  live("says what it is, to who may know", async (made) => {
    const ask = asker(made)
    const version = await ask("GET", "//api2/json/version")
    assert.deepStrictEqual(version.data, { version: "4.2", release: "1", repoid: "granary" })
    const extjs = await ask("GET", "/api2/extjs/version")
    assert.include(extjs.text, '"status":200,"success":true')
    const wrong = await ask("GET", "/api2/extjs/version?x=1")
    assert.strictEqual(wrong.status, 200)
    assert.include(wrong.text, '"success":false')
    assert.deepStrictEqual((await ask("GET", "/api2/json/nope")).status, 404)
    assert.deepStrictEqual(
      (await ask("POST", "/api2/json/version")).text,
      "Path '/api2/json/version' not found."
    )
    assert.strictEqual((await ask("GET", `/api2/json/version?${"x".repeat(4000)}`)).status, 414)
    assert.strictEqual((await ask("GET", "/api2/json/../version")).status, 400)
    assert.strictEqual((await client.ask(made.port, "/api2/json/version")).status, 401)
  })

  live("gives tickets for passwords", async (made) => {
    const user = AuthId.parse("bob@pbs")
    const made1 = UserRecords.putUser(made.config, user, { password: "secret" })
    const acl = {
      authId: user,
      path: "/datastore/store1",
      roles: ["DatastoreAdmin" as const],
      propagate: true
    }
    await Effect.runPromise(
      Effect.provide(Effect.andThen(made1, UserRecords.putAcl(made.config, acl)), platform)
    )
    const logIn = (password: string) =>
      client.ask(made.port, "//api2/json/access/ticket", {
        method: "POST",
        json: { username: "bob@pbs", password }
      })
    const refused = await logIn("wrong")
    assert.deepStrictEqual([refused.status, refused.text], [401, "permission check failed."])
    assert.include(String(refused.headers["set-cookie"]), "__Host-PBSAuthCookie=;")
    const data = (await logIn("secret")).data as Record<string, string>
    assert.strictEqual(data["username"], "bob@pbs")
    const cookie = { cookie: `PBSAuthCookie=${data["ticket"]}` }
    assert.strictEqual((await asker(made, cookie)("GET", "/api2/json/version")).status, 200)
    const create = { json: { name: "n1" } }
    assert.strictEqual((await asker(made, cookie)("POST", `${below}/namespace`, create)).status, 401)
    const both = { ...cookie, csrfpreventiontoken: data["CSRFPreventionToken"] ?? "" }
    assert.strictEqual((await asker(made, both)("POST", `${below}/namespace`, create)).data, "n1")
    const opened = await client.upgrade(made.port, "/api2/json/backup", {
      headers: both,
      query: scene.snapshotQuery("b", time)
    })
    if (!scene.isSession(opened)) return assert.fail(opened.text)
    await opened.close()
  })

  live("lists what there is, as PBS does", async (made) => {
    const ask = asker(made)
    await scene.backUp(made, "t1", time, archives)
    await scene.backUp(made, "t1", time + 100, archives)
    const open = await scene.openSession(made, "backup", scene.snapshotQuery("t1", time + 200))
    assert.deepStrictEqual((await ask("GET", "/api2/json/admin/datastore")).data, [
      { store: "store1", comment: null, "mount-status": "nonremovable", "backend-type": "filesystem" }
    ])
    const listed = (await ask("GET", `${below}/snapshots?`)).data as ReadonlyArray<Record<string, unknown>>
    assert.deepStrictEqual(
      listed.map((item) => [item["backup-time"], typeof item["size"]]),
      [
        [time + 200, "undefined"],
        [time + 100, "number"],
        [time, "number"]
      ]
    )
    const manifestBytes = readFileSync(
      path.join(made.base, "host/t1/2025-06-15T15:06:40Z/index.json.blob")
    ).length
    assert.deepStrictEqual(listed[2], {
      ...snapshot,
      protected: false,
      owner: scene.adminId,
      size: 20_000 + scene.sampleBlob.length + manifestBytes,
      files: [
        { filename: "root.pxar.didx", "crypt-mode": "none", size: 20_000 },
        { filename: "vm.conf.blob", "crypt-mode": "none", size: scene.sampleBlob.length },
        { filename: "index.json.blob", "crypt-mode": "none", size: manifestBytes }
      ]
    })
    assert.deepStrictEqual(
      (await ask("GET", `${below}/files`, { query: snapshot })).data,
      listed[2]?.["files"]
    )
    assert.deepStrictEqual((await ask("GET", `${below}/groups?ns=`)).data, [
      {
        ...group,
        "last-backup": time + 100,
        "backup-count": 2,
        files: ["index.json.blob", "root.pxar.didx", "vm.conf.blob"],
        owner: scene.adminId
      }
    ])
    const missing = await ask("GET", `${below}/snapshots?ns=missing`)
    assert.deepStrictEqual([missing.status, missing.text], [400, "ENOENT: No such file or directory"])
    const status = (await ask("GET", `${below}/status`)).data as Record<string, number>
    assert.isAbove(status["total"] ?? 0, 0)
    await open.close()
  })

  live("notes, protects, hands over, logs, prunes and removes", async (made) => {
    const ask = asker(made)
    for (const seconds of [0, 100, 200]) await scene.backUp(made, "t1", time + seconds, archives)
    const put = (target: string, query: Query) => ask("PUT", `${below}/${target}`, { query })
    const get = async (target: string, query: Query) =>
      (await ask("GET", `${below}/${target}`, { query })).data
    assert.strictEqual(await get("notes", snapshot), "")
    assert.strictEqual((await put("notes", { ...snapshot, notes: "one\ntwo" })).data, null)
    assert.strictEqual(await get("notes", snapshot), "one\ntwo")
    await put("group-notes", { ...group, notes: "a group" })
    assert.strictEqual(await get("group-notes", group), "a group")
    await put("protected", { ...snapshot, protected: true })
    assert.strictEqual(await get("protected", snapshot), true)
    const log = { query: snapshot, body: scene.sampleBlob }
    assert.strictEqual((await ask("POST", `${below}/upload-backup-log`, log)).status, 200)
    const again = await ask("POST", `${below}/upload-backup-log`, log)
    assert.deepStrictEqual([again.status, again.text], [400, "backup already contains a log."])
    const raw = await ask("GET", `${below}/download`, {
      query: { ...snapshot, "file-name": "client.log.blob" }
    })
    assert.isTrue(raw.body.equals(scene.sampleBlob))
    const decoded = await ask("GET", `${below}/download-decoded`, {
      query: { ...snapshot, "file-name": "vm.conf.blob" }
    })
    assert.strictEqual(decoded.text, "a configuration\n")
    const refused = await ask("DELETE", `${below}/snapshots`, { query: snapshot })
    assert.strictEqual(refused.status, 400)
    const prune = { json: { ...group, "keep-last": 1, "dry-run": true } }
    const kept = (
      (await ask("POST", `${below}/prune`, prune)).data as ReadonlyArray<Record<string, unknown>>
    ).map((item) => [item["backup-time"], item["keep"], item["protected"]])
    assert.deepStrictEqual(kept, [
      [time, true, true],
      [time + 100, false, false],
      [time + 200, true, false]
    ])
    await ask("POST", `${below}/prune`, { json: { ...group, "keep-last": 1 } })
    assert.lengthOf((await get("snapshots", {})) as ReadonlyArray<unknown>, 2)
    const owner = { json: { ...group, "new-owner": "admin@pbs" } }
    assert.strictEqual((await ask("POST", `${below}/change-owner`, owner)).status, 200)
    assert.strictEqual(readFileSync(path.join(made.base, "host/t1/owner"), "utf8"), "admin@pbs\n")
    const stranger = { json: { ...group, "new-owner": "nobody@pbs" } }
    assert.strictEqual((await ask("POST", `${below}/change-owner`, stranger)).status, 400)
    await put("protected", { ...snapshot, protected: false })
    assert.strictEqual((await ask("DELETE", `${below}/snapshots`, { query: snapshot })).data, null)
    const gone = await ask("DELETE", `${below}/groups`, { query: group })
    assert.deepStrictEqual(gone.data, {
      "removed-groups": 1,
      "removed-snapshots": 1,
      "protected-snapshots": 0
    })
    assert.isFalse(existsSync(path.join(made.base, "host/t1")))
  })
})

/** What each role may do to a group of its own and to one of somebody else. */
const expectations: ReadonlyArray<
  readonly [Role, own: ReadonlyArray<string>, others: ReadonlyArray<string>]
> = [
  ["DatastoreAdmin", ["see", "read", "note", "forget", "backup"], ["see", "read", "note", "forget"]],
  ["DatastorePowerUser", ["see", "read", "note", "forget", "backup"], []],
  ["DatastoreBackup", ["see", "read", "note", "backup"], []],
  ["DatastoreReader", ["see", "read"], ["see", "read"]],
  ["DatastoreAudit", ["see"], ["see"]],
  ["NoAccess", [], []]
]

describe.concurrent("roles", () => {
  live("allow what PBS's table allows, and nothing more", async (made) => {
    const combinations = expectations.flatMap(([role, own, others], index) => [
      { role, id: `role${index}@pbs!t`, name: `own${index}`, isOwn: true, allowed: own },
      { role, id: `role${index}@pbs!t`, name: `other${index}`, isOwn: false, allowed: others }
    ])
    const tokens = new Map<string, Readonly<Record<string, string>>>()
    for (const { id, name, role } of combinations) {
      if (!tokens.has(id)) tokens.set(id, await Effect.runPromise(made.tokenWith(id, role)))
      await scene.backUp(made, name, time, archives)
    }
    const looks = combinations.map(async ({ allowed, id, isOwn, name, role }) => {
      const owner = isOwn ? id : "admin@pbs!all"
      const handover = { json: { "backup-type": "host", "backup-id": name, "new-owner": owner } }
      await scene.good(asker(made)("POST", `${below}/change-owner`, handover))
      const worked = await done(made, tokens.get(id) ?? assert.fail(id), name, time)
      assert.deepStrictEqual(
        worked,
        allowed.toSorted(),
        `${role} on a group ${isOwn ? "of its own" : "of others"}`
      )
    })
    await Promise.all(looks)
  })

  live("hold in their namespace only", async (made) => {
    for (const name of ["a", "b"]) {
      await scene.good(asker(made)("POST", `${below}/namespace`, { json: { name } }))
    }
    const headers = await Effect.runPromise(
      made.tokenWith("ns@pbs!t", "DatastoreBackup", "/datastore/store1/a")
    )
    const opens = async (ns: string) => {
      const query = { ...scene.snapshotQuery("x", time), ...(ns === "" ? {} : { ns }) }
      const opened = await client.upgrade(made.port, "/api2/json/backup", { headers, query })
      if (!scene.isSession(opened)) return opened.status
      await opened.close()
      return 101
    }
    assert.deepStrictEqual([await opens("a"), await opens("b"), await opens("")], [101, 403, 403])
    const ask = asker(made, headers)
    assert.deepStrictEqual((await ask("GET", `${below}/namespace`)).data, [{ ns: "" }, { ns: "a" }])
    assert.strictEqual((await ask("GET", `${below}/snapshots?ns=b`)).status, 403)
    assert.strictEqual((await ask("GET", "/api2/json/admin/datastore/other/snapshots")).status, 403)
    assert.lengthOf((await ask("GET", "/api2/json/admin/datastore")).data as ReadonlyArray<unknown>, 1)
  })
})

/** Tries everything; answers what worked. */
const done = async (
  made: scene.Scene,
  headers: Readonly<Record<string, string>>,
  id: string,
  moment: number
): Promise<ReadonlyArray<string>> => {
  const ask = asker(made, headers)
  const of = { "backup-type": "host", "backup-id": id }
  const query = { ...of, "backup-time": moment }
  const worked: Array<string> = []
  const listed = await ask("GET", `${below}/snapshots`, { query: of })
  if (Array.isArray(listed.data) && listed.data.length > 0) worked.push("see")
  const reader = await client.upgrade(made.port, "/api2/json/reader", {
    headers,
    query: { ...query, store: "store1" }
  })
  if (scene.isSession(reader)) {
    worked.push("read")
    await reader.close()
  }
  if ((await ask("PUT", `${below}/notes`, { query: { ...query, notes: "x" } })).status === 200)
    worked.push("note")
  const backup = await client.upgrade(made.port, "/api2/json/backup", {
    headers,
    query: { ...of, "backup-time": moment + 5, store: "store1" }
  })
  if (scene.isSession(backup)) {
    worked.push("backup")
    await backup.cut()
    await scene.eventually(
      () => (scene.namesIn(made.base, `host/${id}`)?.length ?? 0) === 2,
      "the session's end"
    )
  }
  if ((await ask("DELETE", `${below}/snapshots`, { query })).status === 200) worked.push("forget")
  return worked.toSorted()
}
