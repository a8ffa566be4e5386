import { assert, describe, it } from "@effect/vitest"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as GroupFilter from "../../src/sync/GroupFilter.ts"

const all = ["ct/100", "ct/200", "host/laptop", "host/server-1", "vm/100", "vm/101", "vm/2100"]

const taken = (...texts: ReadonlyArray<string>): string =>
  all.filter((text) => GroupFilter.accepts(texts.map(GroupFilter.parse), BackupGroup.parse(text))).join(" ")

describe("group filters", () => {
  const cases: ReadonlyArray<readonly [filters: ReadonlyArray<string>, taken: string]> = [
    [[], all.join(" ")],
    [["type:vm"], "vm/100 vm/101 vm/2100"],
    [["include:type:vm"], "vm/100 vm/101 vm/2100"],
    [["type:vm", "type:host"], "host/laptop host/server-1 vm/100 vm/101 vm/2100"],
    [["exclude:type:vm"], "ct/100 ct/200 host/laptop host/server-1"],
    [["group:vm/100"], "vm/100"],
    [["type:vm", "exclude:group:vm/100"], "vm/101 vm/2100"],
    [["exclude:group:vm/100", "group:vm/100"], ""],
    // Not anchored: it is searched anywhere in the name.
    [["regex:100"], "ct/100 vm/100 vm/2100"],
    [["regex:^vm/1"], "vm/100 vm/101"],
    [["regex:/100$"], "ct/100 vm/100"],
    [["regex:^(vm|ct)/[12]00$"], "ct/100 ct/200 vm/100"],
    [["exclude:regex:server|laptop"], "ct/100 ct/200 vm/100 vm/101 vm/2100"],
    [["regex:^host/(server-)?[a-z0-9]+$"], "host/laptop host/server-1"],
    [["regex:a:b|vm/101"], "vm/101"]
  ]
  for (const [filters, expected] of cases) {
    it(`${filters.join(" and ") || "none"} take ${expected || "nothing"}`, () => {
      assert.strictEqual(taken(...filters), expected)
    })
  }

  const refused: ReadonlyArray<readonly [text: string, why: RegExp]> = [
    ["", /type:/],
    ["vm", /type:/],
    ["type:qemu", /type:/],
    ["include:", /type:/],
    ["include:exclude:type:vm", /type:/],
    ["group:vm", /backup group|slash/],
    ["group:vm/a b", /backup id/],
    ["regex:(", /regular expression/],
    ["regex:a**", /regular expression/],
    [`regex:${"a".repeat(257)}`, /256/],
    ["regex:(a+)+$", /for ever/],
    ["regex:(a|a)*$", /for ever/],
    ["regex:((a?b)c)+", /for ever/],
    ["regex:(a{1,9}){1,9}", /for ever/],
    ["regex:.*a.*b.*c.*d", /for ever/],
    ["regex:(a)\\1", /references/],
    ["regex:(?=vm)", /look around/],
    ["regex:(?<!vm)", /look around/]
  ]
  for (const [text, why] of refused) {
    it(`refuses ${text.slice(0, 30)}`, () => {
      try {
        GroupFilter.parse(text)
      } catch (error) {
        assert.instanceOf(error, InvalidName)
        assert.match(error.message, why)
        return
      }
      assert.fail("it was taken")
    })
  }

  it("escapes and classes are not taken for what they look like", () => {
    for (const text of ["regex:(a\\+)+", "regex:([+*])+", "regex:([\\]+])+", "regex:a.*|b.*|c.*|d.*"]) {
      assert.strictEqual(GroupFilter.parse(text).text, text)
    }
  })
})
