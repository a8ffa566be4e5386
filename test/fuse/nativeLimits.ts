/**
 * What `fuse-native` cannot do, and what its driver does instead: never something wrong that a program would rely on.
 * These take the place of what the suite passes over for it.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { codeOf, decoded, read, statOf, until, valueOf } from "../conformance/fuseDriverSubject.ts"
import { patternBytes, sizes } from "./fixtureTree.ts"
import { closeScene, type MountScene, openScene } from "./MountScene.ts"

export const nativeLimits = (obstacle: string | undefined): void => {
  describe.skipIf(obstacle !== undefined)("where fuse-native has a limit", () => {
    let opened: MountScene | undefined
    beforeAll(async () => {
      opened = await openScene("fuse-native")
    })
    afterAll(() => {
      if (opened !== undefined) closeScene(opened)
    })
    const test = (title: string, run: (scene: MountScene) => Promise<void>): void =>
      it(title, async () => {
        if (opened === undefined) throw new Error("nothing is mounted")
        await run(opened)
      })

    test("times are cut to the millisecond, and to 1970", async (scene) => {
      const timeOf = async (name: string) => (await statOf(scene, name))["mtimeNs"]
      assert.strictEqual(await timeOf("hello.txt"), "1500000000123000000")
      assert.strictEqual(await timeOf("old"), "0")
      assert.strictEqual(await timeOf("future"), "16725225600999000000")
    })

    test("inodes have 32 bits, and those that programs compare are exact", async (scene) => {
      const inodeOf = async (name: string) => Number((await statOf(scene, name))["ino"])
      const big = await inodeOf("big-inode")
      assert.isTrue(big > 1 && big < 2 ** 31)
      assert.strictEqual(await inodeOf("big-inode"), big)
      const exact = await Promise.all(["hard-a", "sub", "sub/deeper", "wide", "live"].map(inodeOf))
      assert.strictEqual(new Set(exact).size, exact.length)
      for (const inode of exact) assert.isAtLeast(inode, 2 ** 31)
      assert.strictEqual(await inodeOf("hard-b"), exact[0])
      assert.strictEqual(await inodeOf(""), 1)
    })

    test("sizes and offsets are exact all the same", async (scene) => {
      assert.strictEqual((await statOf(scene, "huge.bin"))["size"], String(sizes.hugeFile))
      for (const offset of [2 ** 40 + 8, sizes.hugeFile - 16]) {
        const bytes = decoded(await read(scene, "huge.bin", offset, 16))
        assert.isTrue(bytes.equals(patternBytes(offset, 16)), String(offset))
      }
    })

    test("names that are not UTF-8 are not listed, and not found", async (scene) => {
      const name = Buffer.from([0xff, 0x62, 0x61, 0x64])
      assert.strictEqual(await codeOf(scene, name, { do: "stat" }), "ENOENT")
      const listed = (await valueOf(scene, "", { do: "list" })) as ReadonlyArray<string>
      const texts = listed.map((each) => decoded(each).toString())
      assert.includeMembers(texts, ["hello.txt", "ünïcode-✓"])
      assert.notInclude(texts.join("\n"), "\uFFFD")
      assert.strictEqual(await codeOf(scene, "raw-link", { do: "readLink" }), "EIO")
    })

    test("holes are read as zeros", async (scene) => {
      assert.isTrue(decoded(await read(scene, "holes.img", 0, 100)).equals(Buffer.alloc(100)))
      assert.isTrue(decoded(await read(scene, "holes.img", 1024 * 1024, 100)).equals(Buffer.alloc(100, 1)))
    })

    test("reads that hang keep nobody waiting", async (scene) => {
      for (let reader = 0; reader < 8; reader++) scene.start("cat", `${scene.mountpoint}/never.bin`)
      await until("a read hangs", async () => (await scene.counts()).hanging >= 1)
      assert.strictEqual(decoded(await read(scene, "pattern.bin", 1_000_000, 8)).length, 8)
      assert.strictEqual((await statOf(scene, "sub"))["nlink"], "3")
    })
  })
}
