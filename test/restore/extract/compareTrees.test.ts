/** Every aspect in which two trees may differ, one at a time. */
import { chmodSync, closeSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { AT_FDCWD, childPath, openAt, setXattr } from "../../../src/platform/Posix.ts"
import { compareTrees, describeDifference } from "../../../src/restore/compareTrees.ts"
import { bytesOf, withFolder } from "./support.ts"

/** Two equal trees. */
const withTwins = (use: (left: string, right: string) => void): Promise<void> =>
  withFolder((folder) => {
    const sides = ["left", "right"].map((name) => join(folder, name))
    for (const side of sides) {
      mkdirSync(join(side, "d/e"), { recursive: true })
      writeFileSync(join(side, "d/f"), "content")
      writeFileSync(join(side, "g"), Buffer.alloc(3_000_000, 1))
      linkSync(join(side, "g"), join(side, "h"))
      symlinkSync("target", join(side, "l"))
    }
    const [left = "", right = ""] = sides
    settle(left)
    settle(right)
    use(left, right)
  })

/** Gives everything but the link one time, so that changes of a test stand out alone. */
const settle = (side: string): void => {
  for (const name of ["d/e", "d/f", "d", "g", "."]) utimesSync(join(side, name), 1000, 1000)
}

const aspectsOf = (left: string, right: string): ReadonlyArray<string> =>
  [...compareTrees(left, right)]
    .map(({ aspect, path }) => `${Buffer.from(path).toString()}: ${aspect}`)
    // The link's own time cannot be set by these means.
    .filter((line) => line !== "l: time")

describe("compareTrees", () => {
  it("finds nothing in equal trees", () =>
    withTwins((left, right) => {
      assert.deepStrictEqual(aspectsOf(left, right), [])
      assert.deepStrictEqual([...compareTrees(left, left)], [])
    }))

  const changes: ReadonlyArray<
    readonly [what: string, change: (side: string) => void, expected: Array<string>]
  > = [
    ["a mode", (side) => chmodSync(join(side, "d/e"), 0o700), ["d/e: mode"]],
    ["a time", (side) => utimesSync(join(side, "d/f"), 1000, 1001), ["d/f: time"]],
    ["a size", (side) => writeFileSync(join(side, "d/f"), "longer content"), ["d/f: size"]],
    ["a content", (side) => writeFileSync(join(side, "d/f"), "CONTENT"), ["d/f: content"]],
    ["a missing file", (side) => writeFileSync(join(side, "z"), ""), ["z: presence"]],
    ["a kind", (side) => mkdirSync(join(side, "k")), ["k: presence"]],
    ["the folder's mode", (side) => chmodSync(side, 0o711), [": mode"]],
    ["a link", (side) => linkSync(join(side, "d/f"), join(side, "d/n")), ["d/n: presence"]]
  ]
  for (const [what, change, expected] of changes) {
    it(`finds ${what}`, () =>
      withTwins((left, right) => {
        change(right)
        const isTimed = what === "a time"
        if (!isTimed) settle(right)
        assert.deepStrictEqual(aspectsOf(left, right), expected)
        assert.deepStrictEqual(aspectsOf(right, left), expected)
      }))
  }

  it("finds attributes, link targets and kinds that differ", () =>
    withFolder((folder) => {
      const left = join(folder, "left")
      const right = join(folder, "right")
      for (const side of [left, right]) mkdirSync(side)
      symlinkSync("one", join(left, "l"))
      symlinkSync("two", join(right, "l"))
      writeFileSync(join(left, "f"), "")
      mkdirSync(join(right, "f"))
      writeFileSync(join(left, "x"), "")
      writeFileSync(join(right, "x"), "")
      const fd = openAt(AT_FDCWD, left, 0)
      setXattr(childPath(fd, bytesOf("x")), bytesOf("user.k"), bytesOf("v"))
      closeSync(fd)
      const found = [...compareTrees(left, right)].filter(
        ({ aspect }) => aspect !== "time" && aspect !== "mode"
      )
      assert.deepStrictEqual(found.map(describeDifference), [
        "f: kind: file / directory",
        "l: link target: one / two",
        "x: attributes: user.k=76 / "
      ])
    }))

  it("finds names that are one file on one side only", () =>
    withFolder((folder) => {
      const left = join(folder, "left")
      const right = join(folder, "right")
      for (const side of [left, right]) {
        mkdirSync(side)
        writeFileSync(join(side, "a"), "same")
      }
      linkSync(join(left, "a"), join(left, "b"))
      writeFileSync(join(right, "b"), "same")
      const found = [...compareTrees(left, right)].filter(({ aspect }) => aspect !== "time")
      assert.deepStrictEqual(found.map(describeDifference), ["b: hard links: of a / of b"])
    }))

  it("finds the first byte that differs, far inside", () =>
    withTwins((left, right) => {
      const content = Buffer.alloc(3_000_000, 1)
      content[2_500_000] = 9
      writeFileSync(join(right, "g"), content)
      settle(right)
      const found = [...compareTrees(left, right)].filter(({ aspect }) => aspect === "content")
      assert.deepStrictEqual(
        found.map(({ left: where }) => where),
        ["byte 2500000", "byte 2500000"]
      )
    }))
})
