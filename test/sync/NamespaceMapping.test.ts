import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Namespace from "../../src/model/Namespace.ts"
import * as NamespaceMapping from "../../src/sync/NamespaceMapping.ts"

const anchors = (source: string, target: string, maxDepth?: number): NamespaceMapping.Anchors => ({
  sourceNamespace: Namespace.parse(source),
  targetNamespace: Namespace.parse(target),
  maxDepth
})

const map = (source: string, target: string, ...names: ReadonlyArray<string>) =>
  Effect.runSync(
    NamespaceMapping.map(anchors(source, target), names.map(Namespace.parse)).pipe(
      Effect.match({
        onFailure: (error) => error.message,
        onSuccess: (pairs) => pairs.map((pair) => `${pair.source}>${pair.target}`).join(" ")
      })
    )
  )

const check = (source: string, target: string, maxDepth?: number) =>
  Effect.runSync(
    NamespaceMapping.checkAnchors(anchors(source, target, maxDepth)).pipe(
      Effect.match({ onFailure: (error) => error.message, onSuccess: () => "fine" })
    )
  )

const deep = "a/b/c/d/e/f/g"

describe("namespaces", () => {
  it("keep their path below the anchors, parents first", () => {
    assert.strictEqual(map("", "", "", "a/b", "a"), "> a>a a/b>a/b")
    assert.strictEqual(map("a", "x/y", "a", "a/b", "a/b/c"), "a>x/y a/b>x/y/b a/b/c>x/y/b/c")
    assert.strictEqual(map("a", "", "a", "a/b"), "a> a/b>b")
    assert.strictEqual(map("", deep, ""), `>${deep}`)
  })

  it("that would come to lie too deep are refused", () => {
    assert.match(map("", deep, "", "h"), /namespace h cannot be put below a\/b.*at most 7/)
    assert.match(map("", "x".repeat(200), "y".repeat(60)), /256/)
    assert.strictEqual(check("", "", 7), "fine")
    assert.strictEqual(check("a", "", 6), "fine")
    assert.match(check("a", "", 7), /max-depth 7 below a is deeper/)
    assert.match(check("", "a/b", 6), /max-depth 6 below a\/b is deeper/)
    assert.strictEqual(check(deep, deep), "fine")
  })

  it("that vanished come from the deepest up, and never the anchor", () => {
    const pairs = [{ source: Namespace.root, target: Namespace.parse("x") }]
    const targets = ["x", "x/a", "x/b/c", "x/b", "xy", "z"].map(Namespace.parse)
    assert.deepStrictEqual(NamespaceMapping.vanished(pairs, targets, Namespace.parse("x")), [
      Namespace.parse("x/b/c"),
      Namespace.parse("x/a"),
      Namespace.parse("x/b")
    ])
    assert.isEmpty(NamespaceMapping.vanished(pairs, [Namespace.root], Namespace.root))
  })
})
