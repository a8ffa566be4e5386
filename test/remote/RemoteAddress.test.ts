/** Names of datastores on servers: what is one, what it says, and what is refused. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as RepositoryName from "../../src/cli/RepositoryName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as RemoteAddress from "../../src/remote/RemoteAddress.ts"

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{2,20}$/)
const user = fc.stringMatching(/^[A-Za-z0-9_.@+-]{1,12}$/)
const host = fc.oneof(
  fc.stringMatching(/^[a-z0-9]{1,10}(?:\.[a-z0-9]{1,10}){0,2}$/),
  fc.ipV4(),
  fc.ipV6().filter((text) => !text.includes("."))
)

const address = fc
  .record({
    user,
    realm: name,
    token: fc.option(name),
    host,
    port: fc.integer({ min: 1, max: 65_535 }),
    store: name
  })
  .map(({ realm, token, user: who, ...rest }) => ({
    authId: AuthId.parse(`${who}@${realm}${token === null ? "" : `!${token}`}`),
    ...rest
  }))

describe("RemoteAddress", () => {
  it("is the same after it was written and read", () => {
    fc.assert(
      fc.property(address, (one) => {
        const text = RemoteAddress.format(one)
        assert.deepStrictEqual(RemoteAddress.parse(text), one)
        assert.deepStrictEqual(RepositoryName.parse(text), { kind: "remote", address: one })
      })
    )
  })

  it("has the usual port where none is named", () => {
    const usual = { authId: "root@pam", host: "pbs.example", port: 8007, store: "store1" }
    for (const text of ["root@pam@pbs.example:store1", "root@pam@pbs.example:8007:store1"]) {
      assert.deepStrictEqual({ ...RemoteAddress.parse(text) }, usual)
    }
    assert.strictEqual(RemoteAddress.format(RemoteAddress.parse("a@b@[::1]:9:store1")), "a@b@[::1]:9:store1")
  })

  it.each([
    "root@pam@host:0:store1",
    "root@pam@host:65536:store1",
    "root@pam@host:x:store1",
    "root@pam@:store1",
    "root@pam@ho st:store1",
    "root@pam@[::zz]:store1",
    "root@pam@::1:store1",
    "root@pam@host:",
    "root@pam@host:st",
    "root@pam@host:../store",
    "root@host:store1",
    "root@pam!@host:store1"
  ])("refuses %s", (text) => {
    assert.throws(() => RemoteAddress.parse(text), InvalidName)
  })

  it("leaves folders alone", () => {
    for (const text of ["/a@b:c", "./a@b:c", "a@b/c:d"]) {
      assert.deepStrictEqual(RepositoryName.parse(text), { kind: "folder", path: text })
    }
  })
})
