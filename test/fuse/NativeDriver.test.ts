/** The driver that goes through the package `fuse-native`: the suite as far as the package can, and then its limits. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { InodeNumbers } from "../../src/fuse/native/InodeNumbers.ts"
import * as NativeDriver from "../../src/fuse/NativeDriver.ts"
import { MemoryVfs } from "../vfs/MemoryVfs.ts"
import { fuseDriverSuite } from "../conformance/fuseDriverSuite.ts"
import { noMounts } from "./MountScene.ts"
import { nativeLimits } from "./nativeLimits.ts"

const obstacle = noMounts ?? Effect.runSync(NativeDriver.driver.obstacle)

fuseDriverSuite({
  driver: "fuse-native",
  obstacle,
  can: {
    rawNames: false,
    exactTimes: false,
    wideNumbers: false,
    seek: false,
    interrupt: false,
    negativeNames: false
  }
})

nativeLimits(obstacle)

describe("numbers for inodes", () => {
  it("are never those of another directory or file with several names", () => {
    const { root } = new MemoryVfs().vfs
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.bigInt({ min: 2n, max: 2n ** 64n - 1n }), { maxLength: 200 }),
        (inodes) => {
          const numbers = new InodeNumbers()
          const ofKind = (kind: "directory" | "file", linkCount: number) =>
            inodes.map((inode) => numbers.numberOf({ ...root, inode, kind, linkCount }))
          const [directories, again, single] = [ofKind("directory", 2), ofKind("file", 2), ofKind("file", 1)]
          assert.strictEqual(new Set(directories).size, inodes.length)
          assert.deepStrictEqual(again, directories)
          for (const number of directories) assert.isTrue(number >= 2 ** 31 && number < 2 ** 32)
          for (const number of single) assert.isTrue(number > 1 && number < 2 ** 31)
        }
      )
    )
  })
})

const tell = `
  import * as Effect from "effect/Effect"
  import { driver } from ${JSON.stringify(path.resolve(import.meta.dirname, "../../src/fuse/NativeDriver.ts"))}
  console.log(JSON.stringify({ obstacle: Effect.runSync(driver.obstacle) }))`

describe.skipIf(noMounts !== undefined)("what is missing", () => {
  /** In a process whose own view of the machine lacks a folder or a library. */
  const obstacleWithout = (target: string): string => {
    const node = `exec "$0" --conditions=development --no-warnings --input-type=module --eval "$1"`
    const hide = `if [ -d "$2" ]; then mount -t tmpfs none "$2"; else mount --bind /dev/null "$2"; fi; ${node}`
    const command = ["-m", "--propagation", "private", "sh", "-c", hide, process.execPath, tell, target]
    const { stderr, stdout } = spawnSync("unshare", command, { encoding: "utf8", timeout: 60_000 })
    assert.match(stdout, /^\{/, stderr)
    return String(JSON.parse(stdout).obstacle)
  }

  it.skipIf(obstacle !== undefined)("is told in one line", () => {
    const root = path.resolve(import.meta.dirname, "../..")
    const installed = path.join(root, "node_modules/fuse-native")
    assert.match(obstacleWithout(installed), /^the package fuse-native is not installed \(.*\)$/)
    assert.match(
      obstacleWithout(path.join(installed, "prebuilds")),
      /^fuse-native has no build for linux x64$/
    )
    const { stdout } = spawnSync("sh", ["-c", "ldconfig -p | sed -n 's/.*libfuse.so.2 .* => //p'"], {
      encoding: "utf8"
    })
    const library = stdout.trim().split("\n")[0] ?? ""
    assert.match(obstacleWithout(library), /libfuse 2 is missing \(install the package libfuse2\)$/)
  })
})
