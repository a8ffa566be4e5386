/** Both drivers without root: `fusermount3` (or FUSE 2's) mounts, and hands over the descriptor. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import * as path from "node:path"
import * as NativeDriver from "../../src/fuse/NativeDriver.ts"
import { noMounts } from "./MountScene.ts"

const helper = ["fusermount3", "fusermount"].find((name) =>
  (process.env["PATH"] ?? "").split(path.delimiter).some((folder) => existsSync(path.join(folder, name)))
)

const obstacle = noMounts ?? (helper === undefined ? "fusermount3 is not installed" : undefined)

/**
 * In mounts of its own: a device that everybody may open, as it is on most machines, and nobody's mountpoint. $1 is
 * node, $2 the program that mounts, $3 by which driver.
 */
const script = `
mount -t tmpfs -o mode=755 none /mnt
mkdir "/mnt/a point"; chown 65534:65534 "/mnt/a point"
mknod -m 666 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse
as() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
mkfifo -m 666 /mnt/ask /mnt/answer
cd /
as "$1" --conditions=development --disable-warning=ExperimentalWarning "$2" "/mnt/a point" "$3" \\
  < /mnt/ask > /mnt/answer &
exec 3> /mnt/ask 4< /mnt/answer
read -r said <&4; echo "$said"
grep -o "fuse.granary.*" /proc/self/mountinfo
as cat "/mnt/a point/hello.txt"
cat "/mnt/a point/hello.txt" 2> /dev/null || echo "root is kept out"
echo stop >&3; read -r said <&4; echo "$said"
grep "fuse.granary" /proc/self/mountinfo || echo "nothing is mounted"
`

const native = obstacle ?? Effect.runSync(NativeDriver.driver.obstacle)

/** What the script prints. */
const mountAs = (driver: string): ReadonlyArray<string> => {
  const program = path.join(import.meta.dirname, "memoryProgram.ts")
  const { stderr, stdout } = spawnSync(
    "unshare",
    [
      ["-m", "--propagation", "private", "--", "timeout", "-s", "KILL", "150"],
      ["sh", "-c", script, "sh", process.execPath, program, driver]
    ].flat(),
    { encoding: "utf8" }
  )
  const lines = stdout.trim().split("\n")
  assert.strictEqual(lines[0], "ready", stdout + stderr)
  return lines
}

describe("without root", () => {
  const cases = [
    { driver: "kernel-private", reason: obstacle },
    { driver: "fuse-native-private", reason: native }
  ]
  for (const { driver, reason } of cases) {
    const title = `${driver} mounts, is seen by its user alone, and unmounts`
    it.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (${reason})`, () => {
      const lines = mountAs(driver)
      assert.match(
        lines[1] ?? "",
        /^fuse\.granary memory,tree ro,user_id=65534,group_id=65534,default_permissions/
      )
      assert.deepStrictEqual(lines.slice(2), ["hello", "root is kept out", "unmounted", "nothing is mounted"])
    })
  }
})
