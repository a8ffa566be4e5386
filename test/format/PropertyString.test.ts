/** Property strings: what Proxmox Backup Server reads and writes in one value, and what it refuses. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { FormatError } from "../../src/format/FormatError.ts"
import * as PropertyString from "../../src/format/PropertyString.ts"

describe("property strings", () => {
  it("reads keys, the default key, quotes and escapes", () => {
    const text = String.raw`"without, key",fst=v1,sec="with = in it",third=a=b,plain,"and \" and \\",n="\n",e=`
    assert.deepStrictEqual(PropertyString.decode(text), [
      { key: undefined, value: "without, key" },
      { key: "fst", value: "v1" },
      { key: "sec", value: "with = in it" },
      { key: "third", value: "a=b" },
      { key: undefined, value: "plain" },
      { key: undefined, value: 'and " and \\' },
      { key: "n", value: "\n" },
      { key: "e", value: "" }
    ])
    assert.deepStrictEqual(PropertyString.decode(""), [])
    assert.deepStrictEqual(PropertyString.decode("a=1,"), [{ key: "a", value: "1" }])
  })

  it("refuses open quotes, unknown escapes and what follows a quote", () => {
    for (const bad of ['k="open', String.raw`k="open\"`, String.raw`k="\t"`, 'k="v"w', '"v" ,b=c']) {
      assert.throws(() => PropertyString.decode(bad), FormatError)
    }
    assert.throws(() => PropertyString.encode([{ key: "a=b", value: "" }]), FormatError)
  })

  it("finds the value of a key, named or by default", () => {
    const pairs = PropertyString.decode("s3,client=minio,client=other")
    assert.strictEqual(PropertyString.valueOf(pairs, "type", "type"), "s3")
    assert.strictEqual(PropertyString.valueOf(pairs, "client", "type"), "minio")
    assert.isUndefined(PropertyString.valueOf(pairs, "type"))
  })

  it("changes one value and leaves the others where they are", () => {
    const pairs = PropertyString.decode("offline,unknown=1,message=old")
    const changed = (name: string, value: string | undefined) =>
      PropertyString.encode(PropertyString.withValue(pairs, name, value, "type"))
    assert.strictEqual(changed("type", "read-only"), "read-only,unknown=1,message=old")
    assert.strictEqual(changed("message", "a, b"), 'offline,unknown=1,message="a, b"')
    assert.strictEqual(changed("message", undefined), "offline,unknown=1")
    assert.strictEqual(changed("new", "x"), "offline,unknown=1,message=old,new=x")
    assert.strictEqual(changed("none", undefined), "offline,unknown=1,message=old")
  })

  it("brings back whatever it wrote", () => {
    const pair = fc.record({
      key: fc.option(fc.stringMatching(/^[a-z-]{1,4}$/), { nil: undefined }),
      value: fc.oneof(fc.string(), fc.stringMatching(/^["\\,=n\n]{0,6}$/))
    })
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        assert.deepStrictEqual(PropertyString.decode(PropertyString.encode(pairs)), pairs)
      })
    )
  })
})
