import { assert, describe, it } from "@effect/vitest"
import * as CanonicalJson from "../../src/format/CanonicalJson.ts"
import { FormatError } from "../../src/format/FormatError.ts"

const canonical = (text: string): string =>
  CanonicalJson.canonical("manifest", CanonicalJson.parse("manifest", Buffer.from(text)))

describe("canonical JSON", () => {
  it("sorts keys at every level and leaves out white space", () => {
    assert.strictEqual(
      canonical(` { "b" : [ 2 , { "z" : true, "a" : "x" } ], "a" : -1.5 } `),
      `{"a":-1.5,"b":[2,{"a":"x","z":true}]}`
    )
    assert.strictEqual(canonical(`{"10":1,"9":2,"B":3,"a":4}`), `{"10":1,"9":2,"B":3,"a":4}`)
  })

  it("sorts keys by their bytes, not by their UTF-16 units", () => {
    assert.strictEqual(canonical(`{"\u{1f600}":1,"\uffee":2}`), `{"\uffee":2,"\u{1f600}":1}`)
  })

  it("escapes what must be escaped and nothing else", () => {
    assert.strictEqual(
      canonical(String.raw`"\u0001\u001f\b\f\n\r\t\"\\\/\u007f\u2028ä"`),
      String.raw`"\u0001\u001f\b\f\n\r\t\"\\/` + '\u007f\u2028ä"'
    )
  })

  it("has no form for null", () => {
    assert.throws(() => canonical("null"), FormatError)
    assert.throws(() => canonical(`{"a":[null]}`), FormatError)
  })
})
