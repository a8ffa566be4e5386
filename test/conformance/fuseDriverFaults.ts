/**
 * What drivers do when something goes wrong, is taken back, is forbidden, or comes to its end. See `fuseDriverSuite`.
 */
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { patternBytes, sizes } from "../fuse/fixtureTree.ts"
import { closeScene, type MountScene, openScene } from "../fuse/MountScene.ts"
import { codeOf, decoded, pause, read, type Run, statOf, until } from "./fuseDriverSubject.ts"

export const faultTests = (run: Run): void => {
  const reading = { do: "read", offset: 0, lengthBytes: 100 }

  run("a defect in the tree fails that request alone", async (scene) => {
    for (const name of ["defect.bin", "throws.bin", "too-much.bin"]) {
      assert.strictEqual(await codeOf(scene, name, reading), "EIO", name)
    }
    assert.strictEqual(decoded(await read(scene, "hello.txt", 0, 100)).toString(), "hello\n")
    await until("the log tells of it", () => scene.driver.log.includes("a fault in the tree, thrown"))
  })

  run("what is damaged cannot be read, and all else can", async (scene) => {
    const good = decoded(await read(scene, "damaged.bin", 0, 4096))
    assert.isTrue(good.equals(patternBytes(0, 4096)))
    const damaged = { do: "read", offset: sizes.damagedFrom, lengthBytes: 100 }
    assert.strictEqual(await codeOf(scene, "damaged.bin", damaged), "EIO")
    const end = decoded(await read(scene, "damaged.bin", sizes.damagedFrom - 4096, 4096))
    assert.isTrue(end.equals(patternBytes(sizes.damagedFrom - 4096, 4096)))
  })

  run("what needs another key says so", async (scene) => {
    assert.strictEqual(await codeOf(scene, "locked.bin", reading), "EACCES")
  })
}

const readsOf = (scene: MountScene) => scene.start("cat", `${scene.mountpoint}/never.bin`)

/** The process behind nsenter and timeout that reads the file. */
const pidOf = (scene: MountScene, pattern: string): string =>
  scene.run("pgrep", "-x", "-f", pattern).output.trim()

export const interruptionTests = (run: Run): void => {
  run("a read whose reader is killed is interrupted, and its finalizer runs", async (scene) => {
    const { interrupted } = await scene.counts()
    readsOf(scene)
    await until("a read hangs", async () => (await scene.counts()).hanging === 1)
    const pid = pidOf(scene, `cat ${scene.mountpoint}/never.bin`)
    assert.match(pid, /^\d+$/)
    process.kill(Number(pid), "SIGKILL")
    await until("the read is interrupted", async () => {
      const counts = await scene.counts()
      return counts.hanging === 0 && counts.interrupted === interrupted + 1
    })
    await until("the reader is gone", () => pidOf(scene, `cat ${scene.mountpoint}/never.bin`) === "")
  })

  run("a reader that ends by another fatal signal is let go too", async (scene) => {
    const { interrupted } = await scene.counts()
    readsOf(scene)
    await until("a read hangs", async () => (await scene.counts()).hanging === 1)
    process.kill(Number(pidOf(scene, `cat ${scene.mountpoint}/never.bin`)), "SIGTERM")
    await until("the read is interrupted", async () => (await scene.counts()).interrupted > interrupted)
  })

  run("a signal that does not mean an end disturbs no read", async (scene) => {
    const pid = scene.probePid
    const reading = read(scene, "slow.bin", 0, 100)
    for (let time = 0; time < 5; time++) {
      await pause(60)
      process.kill(pid, "SIGUSR2")
    }
    assert.isTrue(decoded(await reading).equals(patternBytes(0, 100)))
  })

  run("reads that hang keep nobody waiting", async (scene) => {
    const readers = Array.from({ length: 8 }, () => readsOf(scene))
    await until("a read hangs", async () => (await scene.counts()).hanging >= 1)
    const startedMillis = performance.now()
    assert.strictEqual(decoded(await read(scene, "pattern.bin", 1_000_000, 8)).length, 8)
    assert.strictEqual((await statOf(scene, "hello.txt"))["size"], "6")
    assert.isBelow(performance.now() - startedMillis, 5000)
    const pids = pidOf(scene, `cat ${scene.mountpoint}/never.bin`).split("\n")
    for (const pid of pids.filter((text) => text !== "")) process.kill(Number(pid), "SIGKILL")
    await until("no read hangs", async () => (await scene.counts()).hanging === 0)
    readers.forEach((reader) => reader.kill("SIGKILL"))
  })
}

const changes = [
  ["write", "hello.txt"],
  ["truncate", "hello.txt"],
  ["chmod", "hello.txt"],
  ["chown", "hello.txt"],
  ["utimes", "hello.txt"],
  ["setxattr", "hello.txt"],
  ["unlink", "hello.txt"],
  ["rename", "hello.txt"],
  ["link", "hello.txt"],
  ["create", "new"],
  ["mkdir", "new"],
  ["symlink", "new"],
  ["rmdir", "sub"]
] as const

export const readOnlyTests = (run: Run): void => {
  run("whatever would change something is refused", async (scene) => {
    for (const [how, name] of changes) {
      assert.strictEqual(await codeOf(scene, name, { do: "change", how }), "EROFS", how)
    }
  })

  run("set-user-id bits and device nodes have no effect", (scene) => {
    const pid = scene.driver.child.pid ?? 0
    const table = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    const line = table.split("\n").find((each) => each.includes("fuse.granary")) ?? ""
    assert.match(line, /ro,nosuid,nodev/)
    assert.match(line, /default_permissions/)
    assert.include(line, "memory,tree")
  })

  run("others see only what their rights allow", (scene) => {
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    // The folder around the mountpoint is root's alone.
    scene.run("chmod", "755", scene.mountpoint.replace(/\/[^/]*$/, ""))
    assert.strictEqual(scene.run(...asNobody, "cat", `${scene.mountpoint}/hello.txt`).code, 0)
    assert.include(scene.run(...asNobody, "ls", `${scene.mountpoint}/sub`).output, "Permission denied")
  })
}

/** Each has a mount of its own. */
export const endTests = (driver: string): void => {
  const own = (title: string, test: (scene: MountScene) => Promise<void>) =>
    it(title, async () => {
      const scene = await openScene(driver)
      try {
        await test(scene)
      } finally {
        closeScene(scene)
      }
    })

  const isMounted = ({ driver: { child } }: MountScene): boolean =>
    readFileSync(`/proc/${child.pid ?? 0}/mountinfo`, "utf8").includes("fuse.granary")

  const hasEnded = ({ driver: { child } }: MountScene): boolean =>
    child.exitCode === 0 || child.signalCode !== null

  own("unmounts, and the process ends", async (scene) => {
    assert.strictEqual(await scene.driver.ask("unmount"), "unmounted")
    assert.isFalse(isMounted(scene))
    assert.strictEqual(await scene.driver.ask("stop"), "unmounted")
    await until("the process has ended", () => hasEnded(scene))
  })

  own("detaches what is in use, and says so", async (scene) => {
    const holder = scene.start("sh", "-c", `exec 5< "${scene.mountpoint}/pattern.bin"; sleep 50`)
    await until("the file is open", () => scene.run("fuser", "-sm", scene.mountpoint).code === 0)
    assert.strictEqual(await scene.driver.ask("unmount"), "detached")
    assert.isFalse(isMounted(scene))
    holder.kill("SIGKILL")
  })

  own("ends with reads under way", async (scene) => {
    readsOf(scene)
    await until("a read hangs", async () => (await scene.counts()).hanging === 1)
    assert.include(["unmounted", "detached"], await scene.driver.ask("stop"))
    await until("the process has ended", () => hasEnded(scene))
  })
}
