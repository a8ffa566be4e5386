/** Who may do what: Proxmox Backup Server's rules for roles, paths and tokens. */
import { assert, describe, it } from "@effect/vitest"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespaces from "../../src/model/Namespace.ts"
import * as Permissions from "../../src/server/users/Permissions.ts"

const alice = AuthId.parse("alice@pbs")
const laptop = AuthId.parse("alice@pbs!laptop")

const entry = (
  authId: AuthId.AuthId,
  path: string,
  role: Permissions.Role,
  propagate = true
): Permissions.AclEntry => ({ authId, path, roles: [role], propagate })

const on = (acl: ReadonlyArray<Permissions.AclEntry>, authId: AuthId.AuthId, path: string) =>
  [...Permissions.privilegesOn(acl, authId, path)].toSorted()

describe("Permissions", () => {
  it("names the path of a namespace", () => {
    assert.strictEqual(Permissions.pathOf("store1"), "/datastore/store1")
    assert.strictEqual(Permissions.pathOf("store1", Namespaces.parse("a/b")), "/datastore/store1/a/b")
    for (const good of ["/", "/datastore", "/datastore/s1/a/b"]) assert.isTrue(Permissions.isPath(good))
    for (const bad of ["", "datastore", "/datastore/", "/other", "/datastore/../x", "/datastore/a b"]) {
      assert.isFalse(Permissions.isPath(bad))
    }
  })

  it("gives nothing to who was given nothing, and all to root@pam", () => {
    assert.deepStrictEqual(on([], alice, "/datastore/s1"), [])
    assert.lengthOf(on([], Permissions.superuser, "/datastore/s1/a"), Permissions.privileges.length)
    assert.deepStrictEqual(on([], AuthId.parse("root@pam!t"), "/datastore/s1"), [])
    assert.deepStrictEqual(on([], AuthId.parse("root@pbs"), "/datastore/s1"), [])
  })

  it("lets the deepest entry count, and NoAccess take all away", () => {
    const acl = [entry(alice, "/", "DatastoreAdmin"), entry(alice, "/datastore/s1/team", "DatastoreBackup")]
    assert.lengthOf(on(acl, alice, "/datastore/s1"), 6)
    assert.deepStrictEqual(on(acl, alice, "/datastore/s1/team/dev"), ["Datastore.Backup"])
    const none = [
      ...acl,
      { ...entry(alice, "/datastore/s2", "NoAccess"), roles: ["Admin", "NoAccess"] as const }
    ]
    assert.deepStrictEqual(on(none, alice, "/datastore/s2"), [])
    // A name that merely begins alike is another path.
    assert.lengthOf(on(acl, alice, "/datastore/s1/teammate"), 6)
  })

  it("keeps an entry that does not propagate to its path", () => {
    const acl = [entry(alice, "/datastore/s1", "DatastoreReader", false)]
    assert.lengthOf(on(acl, alice, "/datastore/s1"), 3)
    assert.deepStrictEqual(on(acl, alice, "/datastore/s1/team"), [])
  })

  it("gives a token what both it and its user have", () => {
    const acl = [entry(alice, "/datastore/s1", "DatastorePowerUser"), entry(laptop, "/datastore", "Admin")]
    assert.deepStrictEqual(on(acl, laptop, "/datastore/s1"), ["Datastore.Backup", "Datastore.Prune"])
    assert.deepStrictEqual(on(acl, laptop, "/datastore/s2"), [])
    assert.deepStrictEqual(on([entry(alice, "/", "Admin")], laptop, "/datastore/s1"), [])
  })

  it("sees what is allowed somewhere below", () => {
    const acl = [entry(alice, "/datastore/s1/team/dev", "DatastoreBackup")]
    const wanted: ReadonlyArray<Permissions.Privilege> = ["Datastore.Audit", "Datastore.Backup"]
    const seen = (path: string) => Permissions.hasSomewhereBelow(acl, alice, path, wanted)
    assert.isTrue(seen("/datastore/s1"))
    assert.isTrue(seen("/datastore/s1/team"))
    assert.isFalse(seen("/datastore/s"))
    assert.isFalse(Permissions.hasSomewhereBelow(acl, laptop, "/datastore/s1", wanted))
  })
})
