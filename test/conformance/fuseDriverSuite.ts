/**
 * What every driver has to deliver to the programs of a machine: all of a file that the tree tells, and no harm from
 * what goes wrong in it. The tree is `test/fuse/fixtureTree.ts`; another process looks at it.
 *
 * A driver that cannot do something says so in its subject. Everything else is the same for all.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { holesData, patternBytes, sizes } from "../fuse/fixtureTree.ts"
import { closeScene, type MountScene, noMounts, openScene } from "../fuse/MountScene.ts"
import * as faults from "./fuseDriverFaults.ts"
import { codeOf, decoded, read, type Run, statOf, valueOf } from "./fuseDriverSubject.ts"
import type { FuseDriverSubject } from "./fuseDriverSubject.ts"

export type { FuseDriverSubject }

export const fuseDriverSuite = ({ can = {}, driver, obstacle = noMounts }: FuseDriverSubject): void => {
  const reason = obstacle === undefined ? "" : ` (passed over: ${obstacle})`
  describe.skipIf(obstacle !== undefined)(`driver ${driver}${reason}`, () => {
    let scene: MountScene | undefined
    beforeAll(async () => {
      scene = await openScene(driver)
    })
    afterAll(() => {
      if (scene !== undefined) closeScene(scene)
    })
    const given =
      (condition: boolean | undefined): Run =>
      (title, test) =>
        it.skipIf(condition === false)(title, async () => {
          if (scene === undefined) throw new Error("nothing is mounted")
          await test(scene)
        })

    describe("attributes", () => attributeTests(given, can))
    describe("names and directories", () => nameTests(given, can))
    describe("extended attributes", () => xattrTests(given, can))
    describe("contents", () => contentTests(given, can))
    describe("faults", () => faults.faultTests(given(true)))
    describe("interruption", () => faults.interruptionTests(given(can.interrupt)))
    describe("changing nothing", () => faults.readOnlyTests(given(true)))
    describe("the end", () => faults.endTests(driver))
  })
}

type Given = (condition: boolean | undefined) => Run
type Can = NonNullable<FuseDriverSubject["can"]>

const attributeTests = (given: Given, can: Can): void => {
  given(true)("tells mode, owner, size and links", async (scene) => {
    const hello = await statOf(scene, "hello.txt")
    assert.deepInclude(hello, { uid: "4000000000", gid: "65534", size: "6", nlink: "1" })
    assert.strictEqual(Number(hello["mode"]), 0o100644)
    assert.strictEqual(Number((await statOf(scene, "setuid"))["mode"]), 0o104755)
    assert.strictEqual(Number((await statOf(scene, "sub"))["mode"]), 0o040750)
    assert.deepInclude(await statOf(scene, "holes.img"), {
      size: String(sizes.holes),
      blocks: String((2 * 1024 * 1024) / 512)
    })
  })

  given(true)("tells hard links as one file", async (scene) => {
    const [first, second] = [await statOf(scene, "hard-a"), await statOf(scene, "hard-b")]
    assert.strictEqual(first["nlink"], "2")
    assert.strictEqual(first["ino"], second["ino"])
  })

  given(can.exactTimes)("tells times to the nanosecond, in 1960 and in 2500", async (scene) => {
    assert.strictEqual((await statOf(scene, "hello.txt"))["mtimeNs"], "1500000000123456789")
    assert.strictEqual((await statOf(scene, "old"))["mtimeNs"], "-315619199999999995")
    assert.strictEqual((await statOf(scene, "future"))["mtimeNs"], "16725225600999999999")
  })

  given(can.wideNumbers)("tells inodes of 64 bits and sizes of 53", async (scene) => {
    assert.strictEqual((await statOf(scene, "big-inode"))["ino"], String(2n ** 62n + 77n))
    assert.strictEqual((await statOf(scene, "huge.bin"))["size"], String(sizes.hugeFile))
  })

  given(true)("tells what is no file", async (scene) => {
    const character = await statOf(scene, "character")
    assert.strictEqual(Number(character["mode"]), 0o020600)
    assert.strictEqual(character["rdev"], String((1 << 8) | 3))
    const block = BigInt((await statOf(scene, "block"))["rdev"] ?? "0")
    assert.strictEqual((block >> 8n) & 0xfffn, 259n)
    assert.strictEqual((block & 0xffn) | ((block >> 12n) & 0xffff00n), 70_000n)
    assert.strictEqual(Number((await statOf(scene, "fifo"))["mode"]), 0o010600)
    assert.strictEqual(Number((await statOf(scene, "socket"))["mode"]), 0o140755)
  })

  given(true)("tells how much room there is", async (scene) => {
    const found = (await valueOf(scene, "", { do: "statfs" })) as Readonly<Record<string, number>>
    assert.strictEqual((found["blocks"] ?? 0) * (found["bsize"] ?? 0), 1000 * 1024 * 1024)
    assert.strictEqual((found["bavail"] ?? 0) * (found["bsize"] ?? 0), 250 * 1024 * 1024)
  })
}

const nameTests = (given: Given, can: Can): void => {
  const names = async (scene: MountScene, directory: string) =>
    ((await valueOf(scene, directory, { do: "list" })) as ReadonlyArray<string>).map((name) =>
      decoded(name).toString("latin1")
    )

  given(true)("finds odd names", async (scene) => {
    for (const name of ["ünïcode-✓", "a name with spaces,\\ and\nmore", "n".repeat(255), "sub/deeper/file"]) {
      assert.isString((await statOf(scene, name))["ino"])
    }
    assert.include(["ENOENT", "ENAMETOOLONG"], await codeOf(scene, "n".repeat(256), { do: "stat" }))
    assert.strictEqual(await codeOf(scene, "hello.txt/below", { do: "stat" }), "ENOTDIR")
  })

  given(can.rawNames)("finds and lists names that are not UTF-8", async (scene) => {
    const name = Buffer.from([0xff, 0x62, 0x61, 0x64])
    assert.strictEqual((await statOf(scene, name))["size"], "1")
    assert.include(await names(scene, ""), name.toString("latin1"))
    assert.deepStrictEqual(
      decoded(await valueOf(scene, "raw-link", { do: "readLink" })),
      Buffer.from([0xfe, 0x2f, 0xff])
    )
  })

  given(true)("lists everything once, in a directory of 20,000 too", async (scene) => {
    assert.sameMembers(await names(scene, "sub"), ["deeper"])
    const wide = await names(scene, "wide")
    assert.strictEqual(wide.length, sizes.wide)
    assert.strictEqual(new Set(wide).size, sizes.wide)
    const { output } = scene.run("ls", "-la", `${scene.mountpoint}/wide`)
    assert.strictEqual(output.trim().split("\n").length, sizes.wide + 3)
  })

  given(true)("reads symbolic links", async (scene) => {
    assert.strictEqual(decoded(await valueOf(scene, "link", { do: "readLink" })).toString(), "hello.txt")
    assert.strictEqual(decoded(await read(scene, "link", 0, 100)).toString(), "hello\n")
  })

  given(true)("sees what comes into a directory that changes", async (scene) => {
    assert.strictEqual(await codeOf(scene, "live/new", { do: "stat" }), "ENOENT")
    assert.deepStrictEqual(await names(scene, "live"), [])
    await scene.driver.ask("add new")
    await new Promise((resolve) => setTimeout(resolve, 400))
    assert.strictEqual((await statOf(scene, "live/new"))["size"], "5")
    assert.deepStrictEqual(await names(scene, "live"), ["new"])
  })

  given(can.negativeNames)("asks once for a name that is missing where nothing changes", async (scene) => {
    assert.strictEqual(await codeOf(scene, "sub/missing", { do: "stat" }), "ENOENT")
    const before = (await scene.counts()).lookups
    for (let again = 0; again < 5; again++) {
      assert.strictEqual(await codeOf(scene, "sub/missing", { do: "stat" }), "ENOENT")
    }
    assert.strictEqual((await scene.counts()).lookups, before)
  })
}

const xattrTests = (given: Given, can: Can): void => {
  given(true)("lists and reads them", async (scene) => {
    const listed = (await valueOf(scene, "xattrs", { do: "xattrNames" })) as ReadonlyArray<string>
    assert.sameMembers(
      listed.map((name) => decoded(name).toString()),
      ["user.foo", "user.bin", "user.empty"]
    )
    const value = (name: string) => valueOf(scene, "xattrs", { do: "xattr", name })
    assert.strictEqual(decoded(await value("user.foo")).toString(), "bar")
    assert.deepStrictEqual(decoded(await value("user.bin")), Buffer.alloc(3000, 7))
    assert.strictEqual(decoded(await value("user.empty")).length, 0)
    assert.isNull(await value("user.none"))
    assert.deepStrictEqual(await valueOf(scene, "hello.txt", { do: "xattrNames" }), [])
  })

  given(can.xattrRange)("says that one does not fit", async (scene) => {
    const into = (lengthBytes: number) =>
      scene.look("xattrs", { do: "xattrInto", name: "user.bin", lengthBytes })
    assert.deepStrictEqual(await into(0), { value: 3000 })
    assert.deepStrictEqual(await into(3000), { value: 3000 })
    assert.deepStrictEqual(await into(2999), { code: "ERANGE" })
  })

  given(true)("shows access lists to getfacl", async (scene) => {
    const { output } = scene.run("getfacl", "-n", "-c", "-p", `${scene.mountpoint}/acl`)
    assert.include(output, "user:1000:rwx")
    assert.include(output, "mask::rwx")
  })
}

const contentTests = (given: Given, can: Can): void => {
  const check = async (
    scene: MountScene,
    name: string,
    offset: number,
    lengthBytes: number,
    found: number
  ) => {
    const bytes = decoded(await read(scene, name, offset, lengthBytes))
    assert.strictEqual(bytes.length, found, `${name} at ${offset}`)
    assert.isTrue(bytes.equals(patternBytes(offset, found)), `${name} at ${offset}`)
  }

  given(true)("reads anywhere, across the end and behind it", async (scene) => {
    const end = sizes.pattern
    await check(scene, "pattern.bin", 0, 100, 100)
    await check(scene, "pattern.bin", 4095, 70_001, 70_001)
    await check(scene, "pattern.bin", end - 10, 100, 10)
    await check(scene, "pattern.bin", end, 100, 0)
    await check(scene, "pattern.bin", end + 100_000, 100, 0)
    await check(scene, "pattern.bin", 0, 10 * 1024 * 1024, end)
    await check(scene, "empty", 0, 100, 0)
  })

  given(can.wideNumbers)("reads where numbers are large", async (scene) => {
    await check(scene, "huge.bin", sizes.hugeFile - 16, 100, 16)
    await check(scene, "huge.bin", 2 ** 40 + 8, 100_000, 100_000)
  })

  given(true)("gives the same to programs that read in parallel", (scene) => {
    const sum = 'md5sum < "$1" > /tmp/none & md5sum < "$1" & wait; cat "$1" | wc -c'
    const { code, output } = scene.run(
      "sh",
      "-c",
      sum.replace("> /tmp/none ", ""),
      "sh",
      `${scene.mountpoint}/pattern.bin`
    )
    assert.strictEqual(code, 0)
    const lines = output.trim().split("\n")
    assert.strictEqual(lines[0], lines[1])
    assert.strictEqual(Number(lines[2]), sizes.pattern)
  })

  given(can.seek)("tells holes", async (scene) => {
    const seek = (how: "nextData" | "nextHole", offset: number) =>
      valueOf(scene, "holes.img", { do: how, offset })
    const [[start, end], [second, secondEnd]] = holesData
    assert.deepStrictEqual(
      [await seek("nextData", 0), await seek("nextHole", 0), await seek("nextData", start + 5)],
      [start, 0, start + 5]
    )
    assert.deepStrictEqual([await seek("nextHole", start), await seek("nextData", end)], [end, second])
    assert.deepStrictEqual(
      [await seek("nextHole", second), await seek("nextData", secondEnd)],
      [secondEnd, null]
    )
    assert.isNull(await seek("nextHole", sizes.holes))
  })

  given(can.seek)("lets cp leave the holes out", (scene) => {
    const copy = 'cp --sparse=auto "$1" "$2" && cmp "$1" "$2" && du -k "$2" | cut -f1'
    const target = `${scene.mountpoint.replace(/\/[^/]*$/, "")}/copy`
    const { code, output } = scene.run("sh", "-c", copy, "sh", `${scene.mountpoint}/holes.img`, target)
    assert.strictEqual(code, 0, output)
    assert.isAtMost(Number(output), 3 * 1024)
  })
}
