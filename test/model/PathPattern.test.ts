import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { InvalidName } from "../../src/model/InvalidName.ts"
import { match, parse, type PathPattern } from "../../src/model/PathPattern.ts"

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

const matches = (pattern: string, path: string, isDirectory = false): boolean =>
  match([parse(bytes(pattern))], bytes(path), isDirectory) !== undefined

/** Pattern, paths that it matches, paths that it does not match. */
const CASES: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
  ["foo", ["foo", "a/foo", "a/b/foo"], ["foo/a", "xfoo", "foox", "Foo"]],
  ["/foo", ["foo"], ["a/foo", "foo/a"]],
  ["a/foo", ["a/foo", "x/a/foo", "y/x/a/foo"], ["foo", "a/x/foo", "xa/foo"]],
  ["/a/foo", ["a/foo"], ["x/a/foo"]],
  ["*.tmp", ["x.tmp", ".tmp", "a/b.c.tmp"], ["x.tmpx", "x.tmp/y", "tmp"]],
  ["/*.tmp", ["x.tmp"], ["a/x.tmp"]],
  ["a*b*c", ["abc", "axxbxxc", "axxbxxbxxcxxc"], ["axxbxxcx", "ab/c", "xabc"]],
  ["/hey/*/you", ["hey/asdf/you"], ["hey/asdf/more/you", "hey/you", "heyasdf/you", "x/hey/a/you"]],
  ["/hey/**/you", ["hey/you", "hey/a/you", "hey/a/b/c/you"], ["heyyou", "hey/ayou", "hey/you/x"]],
  ["**/lost+found", ["lost+found", "a/lost+found", "a/b/lost+found"], ["xlost+found", "lost+found/x"]],
  ["/a/**", ["a/b", "a/b/c"], ["a", "b", "x/a/b"]],
  ["a/b**/c", ["a/bxx/c", "x/a/b/c"], ["a/bxx/yy/c"]],
  ["/a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c", "a/b/b/c"], ["a/c", "a/b/x", "a/x/c"]],
  ["**", ["a", "a/b"], []],
  ["*", ["a", "a/b", ".x"], []],
  ["/*", ["a"], ["a/b"]],
  ["/*/", [], ["a"]],
  ["?", ["a", "b/c"], ["ab", "a/bc"]],
  ["a?c", ["abc", "a\xffc"], ["ac", "a/c", "abbc"]],
  ["a[bc]d", ["abd", "acd"], ["aed", "ad", "abcd"]],
  ["a[^bc]d", ["aed", "a\x80d"], ["abd", "a/d"]],
  ["[a-cx-z]", ["b", "y"], ["d", "w", "-"]],
  ["[c-a]", ["a", "b", "c"], ["d"]],
  ["[-a]", ["-", "a"], ["b"]],
  ["[a-]", ["-", "a"], ["b"]],
  ["[a-c-e]", ["b", "-", "e"], ["d"]],
  ["[!a]", ["!", "a"], ["b"]],
  ["[\\]\\\\]", ["]", "\\"], ["["]],
  ["[[:digit:]k][[:upper:]]", ["1A", "kZ"], ["1a", "xA"]],
  ["[^[:alnum:]]", ["_", "-", "\xe4"], ["a", "Z", "5"]],
  ["[[:xdigit:]][[:punct:]][[:space:]]", ["f! ", "0~\t"], ["g! ", "fa ", "f!x"]],
  ["\\*", ["*"], ["a", "\\*"]],
  ["\\!x", ["!x"], ["x"]],
  ["\\#x", ["#x"], ["x"]],
  ["a\\bc", ["abc"], ["a\\bc"]],
  ["\xff\xfe", ["\xff\xfe"], ["\xff"]],
  ["a//b", [], ["a/b", "a//b/c"]]
]

describe("PathPattern", () => {
  it.each(CASES)("%s", (pattern, yes, no) => {
    for (const path of yes) assert.isTrue(matches(pattern, path), `${pattern} and ${path}`)
    for (const path of no) assert.isFalse(matches(pattern, path), `${pattern} and ${path}`)
  })

  it("takes a pattern with a slash at its end for directories only", () => {
    for (const pattern of ["cache/", "cache//", "/cache/"]) {
      assert.isTrue(matches(pattern, "cache", true), pattern)
      assert.isFalse(matches(pattern, "cache", false), pattern)
    }
    assert.isFalse(matches("/", "a", true))
  })

  it("lets the last pattern that matches decide", () => {
    const decide = (lines: Array<string>, path: string) =>
      match(
        lines.map((line) => parse(line)),
        bytes(path),
        false
      )
    assert.strictEqual(decide(["*.tmp", "!keep.tmp"], "keep.tmp"), "include")
    assert.strictEqual(decide(["*.tmp", "!keep.tmp"], "x.tmp"), "exclude")
    assert.strictEqual(decide(["!keep.tmp", "*.tmp"], "keep.tmp"), "exclude")
    assert.strictEqual(decide(["*.tmp"], "x"), undefined)
    assert.strictEqual(decide([], "x"), undefined)
    assert.strictEqual(decide(["!/a/*"], "a/b"), "include")
  })

  it("anchors at the directory that it is given, whatever that is called", () => {
    const anchored = parse("/x", bytes("a*/[b]"))
    assert.strictEqual(match([anchored], bytes("a*/[b]/x"), false), "exclude")
    assert.strictEqual(match([anchored], bytes("ab/b/x"), false), undefined)
    assert.strictEqual(match([anchored], bytes("x"), false), undefined)
    const floating = parse("x", bytes("a"))
    assert.strictEqual(match([floating], bytes("a/b/x"), false), "exclude")
  })

  it("keeps its text for the record", () => {
    const textOf = (line: string): string => Buffer.from(parse(line).text).toString()
    assert.deepStrictEqual(["a/b", "!x", "d//", "!/e/"].map(textOf), ["a/b", "!x", "d/", "!/e/"])
  })

  it.each([
    "",
    "!",
    "a\\",
    "[",
    "[a",
    "[]a]",
    "[^]",
    "[a-",
    "[a\\",
    "[[:nope:]]",
    "[[:digit]",
    "a\0b",
    "[[:constructor:]]"
  ])("refuses %j", (line) => {
    assert.throws(() => parse(line), InvalidName)
  })
})

const ALPHABET = ["a", "b", "/", "*", "?", "[", "]", "^", "-", "!", "\\", ":", "[ab]", "**", "/**/"]
const anyPattern = fc
  .array(fc.constantFrom(...ALPHABET), { minLength: 1, maxLength: 14 })
  .map((parts) => parts.join(""))
const anyPath = fc
  .array(fc.stringMatching(/^[ab*-]{1,5}$/), { minLength: 1, maxLength: 5 })
  .map((names) => names.join("/"))

const tryParse = (line: string): PathPattern | undefined => {
  try {
    return parse(line)
  } catch (error) {
    assert.instanceOf(error, InvalidName)
    return undefined
  }
}

/** The same rules, slowly: a regular expression made of a pattern of plain letters, stars and question marks. */
const toRegExp = (pattern: string): RegExp => {
  const source = pattern
    .replace(/^\//, "")
    .split("/")
    .map((component, index, all) => {
      const isLast = index === all.length - 1
      if (/^\*\*+$/.test(component)) return isLast ? ".+" : "(?:[^/]+/)*"
      const glob = component.replaceAll(/\*+/g, "[^/]*").replaceAll("?", "[^/]")
      return isLast ? glob : `${glob}/`
    })
    .join("")
  return new RegExp(`^${pattern.startsWith("/") ? "" : "(?:[^/]+/)*"}${source}$`, "s")
}

describe("PathPattern on generated patterns", () => {
  it("parses or refuses anything, and matches it against any path", () => {
    fc.assert(
      fc.property(anyPattern, anyPath, fc.boolean(), (line, path, isDirectory) => {
        const pattern = tryParse(line)
        if (pattern === undefined) return
        const decision = match([pattern], bytes(path), isDirectory)
        assert.isTrue(decision === undefined || decision === pattern.decision)
      }),
      { numRuns: 2000 }
    )
  })

  it("agrees with regular expressions", () => {
    const component = fc.stringMatching(/^[ab*?]{1,4}$/)
    const plain = fc
      .tuple(fc.boolean(), fc.array(component, { minLength: 1, maxLength: 4 }))
      .map(([isAnchored, components]) => (isAnchored ? "/" : "") + components.join("/"))
    const path = fc.array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(plain, path, (line, names) => {
        const text = names.join("/")
        assert.strictEqual(matches(line, text), toRegExp(line).test(text), `${line} and ${text}`)
      }),
      { numRuns: 5000 }
    )
  })

  it("ends soon with patterns that make others try exponentially many ways", () => {
    const name = "a".repeat(255)
    const deep = Array.from({ length: 500 }, () => name).join("/")
    assert.isFalse(matches(`${"a*".repeat(2000)}b`, name))
    assert.isFalse(matches(`${"**/a*/".repeat(400)}b`, deep))
    assert.isFalse(matches(`${"*?".repeat(1000)}b`, deep))
  })
})
