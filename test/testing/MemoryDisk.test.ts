/** The fault model of MemoryDisk, outcome by outcome; then room, access times and forks. */
import { assert, describe, it } from "@effect/vitest"
import { chooseFrom, loseAll, MemoryDisk, type MemoryDiskOptions } from "../../src/testing/MemoryDisk.ts"
import { contentsOf, everyOutcome } from "./memoryDisks.ts"

const text = (content: string): Uint8Array => Buffer.from(content)

const write = (disk: MemoryDisk, path: string, content: string, isFlushed = false): number => {
  const number = disk.create(path, 0o644, 0)
  disk.append(number, text(content), 0)
  if (isFlushed) disk.syncFile(number)
  return number
}

const diskOf = (prepare: (disk: MemoryDisk) => void, options: MemoryDiskOptions = {}): MemoryDisk => {
  const disk = new MemoryDisk(options)
  prepare(disk)
  return disk
}

/** What is flushed before the part of a test that power loss may take. */
const flushed = (disk: MemoryDisk, ...paths: ReadonlyArray<string>): void => {
  for (const path of paths) {
    if (path.endsWith("/")) disk.makeDirectory(path.slice(0, -1), 0o755, 0)
    else write(disk, path, path.slice(-1))
  }
  disk.syncAll()
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return "success"
  } catch (error) {
    return error instanceof Error ? error.message : "?"
  }
}

describe("a power loss", () => {
  it("tears unflushed content at any length, to zeros, or not; the name is there or not", () => {
    const outcomes = everyOutcome(diskOf((disk) => write(disk, "/a", "xyz")))
    assert.deepStrictEqual(outcomes, ["", "/a=", "/a=000", "/a=x", "/a=x00", "/a=xy", "/a=xy0", "/a=xyz"])
  })

  it("takes nothing of what was flushed", () => {
    const prepared = (disk: MemoryDisk) => {
      flushed(disk, "/d/", "/d/a", "/b")
      disk.touch("/b", 5000)
      disk.syncAll()
      write(disk, "/c", "c", true)
      disk.syncDirectory("/")
    }
    const disk = diskOf(prepared)
    assert.isTrue(disk.isFlushed)
    assert.deepStrictEqual(everyOutcome(disk), ["/b=b /c=c /d/ /d/a=a"])
    assert.deepStrictEqual(disk.losePower(loseAll), [])
    assert.strictEqual(disk.stat("/b").atimeMillis, 5000)
  })

  it("leaves one of two names of a rename, also between folders", () => {
    for (const target of ["/b", "/d/b"]) {
      const outcomes = everyOutcome(
        diskOf((disk) => {
          flushed(disk, "/a", "/d/", target)
          disk.rename("/a", target, 0)
        })
      )
      const before = target === "/b" ? "/a=a /b=b /d/" : "/a=a /d/ /d/b=b"
      const after = target === "/b" ? "/b=a /d/" : "/d/ /d/b=a"
      assert.deepStrictEqual(outcomes, [before, after].toSorted())
    }
  })

  it("can leave torn content under the name of an unflushed replacement, and cannot of a flushed one", () => {
    const replaced = (isFlushed: boolean) =>
      everyOutcome(
        diskOf((disk) => {
          flushed(disk, "/a")
          write(disk, "/t", "n", isFlushed)
          disk.rename("/t", "/a", 0)
        })
      )
    assert.deepStrictEqual(replaced(true), ["/a=a", "/a=a /t=n", "/a=n"])
    assert.deepStrictEqual(replaced(false), [
      "/a=",
      "/a=0",
      "/a=a",
      "/a=a /t=",
      "/a=a /t=0",
      "/a=a /t=n",
      "/a=n"
    ])
  })

  it("keeps the order of names in a folder, and none between folders", () => {
    const changed = (disk: MemoryDisk) => {
      flushed(disk, "/d/", "/e/", "/d/1", "/d/2", "/e/3")
      disk.unlink("/d/1", 0)
      disk.unlink("/e/3", 0)
      disk.unlink("/d/2", 0)
    }
    const independent = everyOutcome(diskOf(changed))
    assert.deepStrictEqual(independent, [
      "/d/ /d/1=1 /d/2=2 /e/",
      "/d/ /d/1=1 /d/2=2 /e/ /e/3=3",
      "/d/ /d/2=2 /e/",
      "/d/ /d/2=2 /e/ /e/3=3",
      "/d/ /e/",
      "/d/ /e/ /e/3=3"
    ])
    const journaled = everyOutcome(diskOf(changed, { nameOrdering: "journal" }))
    assert.deepStrictEqual(journaled, [
      "/d/ /d/1=1 /d/2=2 /e/ /e/3=3",
      "/d/ /d/2=2 /e/",
      "/d/ /d/2=2 /e/ /e/3=3",
      "/d/ /e/"
    ])
  })

  it("a flush of a folder takes along what its changes rest on, in other folders too", () => {
    const outcomes = everyOutcome(
      diskOf((disk) => {
        flushed(disk, "/d/", "/e/", "/d/1", "/d/2", "/e/3")
        disk.unlink("/d/1", 0)
        disk.unlink("/e/3", 0)
        disk.rename("/d/2", "/e/2", 0)
        disk.unlink("/e/2", 0)
        write(disk, "/d/later", "")
        disk.syncDirectory("/e")
      })
    )
    assert.deepStrictEqual(outcomes, ["/d/ /d/later= /e/", "/d/ /e/"])
  })

  it("a folder whose name is lost takes what was flushed in it along; not where there is one journal", () => {
    const made = (disk: MemoryDisk) => {
      disk.makeDirectory("/d", 0o755, 0)
      write(disk, "/d/a", "1", true)
      disk.syncDirectory("/d")
    }
    assert.deepStrictEqual(everyOutcome(diskOf(made)), ["", "/d/ /d/a=1"])
    assert.deepStrictEqual(everyOutcome(diskOf(made, { nameOrdering: "journal" })), ["/d/ /d/a=1"])
  })

  it("never finds a removed folder with names left in it", () => {
    const outcomes = everyOutcome(
      diskOf((disk) => {
        flushed(disk, "/d/", "/d/a")
        disk.unlink("/d/a", 0)
        disk.removeDirectory("/d", 0)
      })
    )
    assert.deepStrictEqual(outcomes, ["", "/d/", "/d/ /d/a=a"])
  })

  it("never loses a file that was moved out of a folder before that was removed", () => {
    const outcomes = everyOutcome(
      diskOf((disk) => {
        flushed(disk, "/d/", "/e/", "/d/a")
        disk.rename("/d/a", "/e/a", 0)
        disk.removeDirectory("/d", 0)
      })
    )
    assert.deepStrictEqual(outcomes, ["/d/ /d/a=a /e/", "/d/ /e/ /e/a=a", "/e/ /e/a=a"])
  })

  it("takes access times that were not flushed", () => {
    const touched = () =>
      diskOf((disk) => {
        flushed(disk, "/a")
        disk.touch("/a", 5000)
        disk.touch("/a", 9000)
      })
    const kept = touched()
    kept.losePower(chooseFrom([]))
    assert.strictEqual(kept.stat("/a").atimeMillis, 9000)
    const lost = touched()
    assert.deepStrictEqual(lost.losePower(loseAll), ["lost: access time of /a"])
    assert.strictEqual(lost.stat("/a").atimeMillis, 0)
  })

  it("tells what it took, is the same for the same choices, and leaves everything flushed", () => {
    const prepared = () =>
      diskOf((disk) => {
        write(disk, "/a", "12345")
        write(disk, "/b", "12345")
        write(disk, "/c", "12345")
      })
    const [one, other] = [prepared(), prepared()]
    const choices = [0, 0, 1, 3, 2, 2, 1]
    const told = ["lost: create /c", "torn: /a holds 3 of 5 bytes", "torn: /b is zero from byte 1 of 5 on"]
    assert.deepStrictEqual(one.losePower(chooseFrom(choices)), told)
    assert.deepStrictEqual(other.losePower(chooseFrom(choices)), told)
    assert.deepStrictEqual(contentsOf(one), ["/a=123", "/b=10000"])
    assert.strictEqual(one.usedBytes, 8)
    assert.isTrue(one.isFlushed)
  })
})

describe("a memory disk", () => {
  it("stores what fits, and gets room back when names go", () => {
    const disk = new MemoryDisk({ capacityBytes: 10 })
    write(disk, "/a", "123456")
    assert.strictEqual(
      codeOf(() => write(disk, "/b", "123456")),
      "ENOSPC"
    )
    assert.deepStrictEqual([disk.stat("/b").content.length, disk.usedBytes], [4, 10])
    disk.rename("/b", "/a", 0)
    assert.strictEqual(disk.usedBytes, 4)
    disk.unlink("/a", 0)
    assert.strictEqual(disk.usedBytes, 0)
    disk.losePower(loseAll)
    assert.strictEqual(disk.usedBytes, 0)
  })

  it("moves access times as its mount says", () => {
    const hour = 3_600_000
    const readsOf = (accessTimes: "noatime" | "relatime" | "strictatime" | "ignored") => {
      const disk = new MemoryDisk({ accessTimes })
      write(disk, "/a", "1")
      return [hour, 2 * hour, 27 * hour, 28 * hour].map((now) => {
        disk.read(disk.open("/a"), now)
        return disk.stat("/a").atimeMillis / hour
      })
    }
    assert.deepStrictEqual(readsOf("noatime"), [0, 0, 0, 0])
    assert.deepStrictEqual(readsOf("relatime"), [1, 1, 27, 27])
    assert.deepStrictEqual(readsOf("strictatime"), [1, 2, 27, 28])
    assert.deepStrictEqual(readsOf("ignored"), [0, 0, 0, 0])
    const touchOn = (accessTimes: "noatime" | "ignored") => {
      const disk = new MemoryDisk({ accessTimes })
      write(disk, "/a", "1")
      assert.isTrue(disk.touch("/a", hour))
      return disk.stat("/a").atimeMillis
    }
    assert.deepStrictEqual([touchOn("noatime"), touchOn("ignored")], [hour, 0])
  })

  it("forks into two lives, unflushed changes and counters included", () => {
    const disk = new MemoryDisk({ capacityBytes: 1000, accessTimes: "strictatime" })
    flushed(disk, "/d/", "/d/a")
    write(disk, "/d/b", "2")
    disk.takeNumber()
    const copy = disk.fork()
    const before = contentsOf(disk)
    assert.deepStrictEqual(contentsOf(copy), before)
    write(copy, "/d/c", "3")
    copy.unlink("/d/a", 0)
    copy.put("/d/b", text("changed"))
    copy.touch("/d/b", 7000)
    assert.deepStrictEqual(contentsOf(disk), before)
    assert.strictEqual(disk.stat("/d/b").atimeMillis, 0)
    const other = disk.fork()
    disk.rename("/d/b", "/b", 0)
    assert.deepStrictEqual(contentsOf(other), before)
    assert.deepStrictEqual(
      [copy.takeNumber(), copy.capacityBytes, copy.accessTimes],
      [1, 1000, "strictatime"]
    )
    other.losePower(loseAll)
    assert.deepStrictEqual(contentsOf(other), ["/d/", "/d/a=a"])
    assert.deepStrictEqual(contentsOf(disk), ["/b=2", "/d/", "/d/a=a"])
  })

  it("follows links on the way, refuses loops, and moves no folder into itself", () => {
    const disk = new MemoryDisk()
    flushed(disk, "/d/", "/d/e/", "/d/a")
    disk.makeSymlink("../d", "/d/up")
    disk.makeSymlink("loop", "/loop")
    assert.strictEqual(disk.stat("/d/up/up/../d/./a").number, disk.stat("/d/a").number)
    assert.strictEqual(
      codeOf(() => disk.open("/loop")),
      "ELOOP"
    )
    assert.strictEqual(
      codeOf(() => disk.rename("/d", "/d/e/d", 0)),
      "EINVAL"
    )
    assert.strictEqual(
      codeOf(() => disk.create(`/${"n".repeat(256)}`, 0o644, 0)),
      "ENAMETOOLONG"
    )
    assert.strictEqual(
      codeOf(() => disk.removeDirectory("/", 0)),
      "ENOTEMPTY"
    )
  })

  it("keeps what a program writes to although others remove it for good", () => {
    const disk = new MemoryDisk()
    const number = disk.create("/a", 0o644, 0)
    disk.unlink("/a", 0)
    disk.syncAll()
    disk.append(number, text("nobody reads this"), 0)
    disk.syncFile(number)
    assert.deepStrictEqual([contentsOf(disk), disk.usedBytes], [[], 0])
  })
})
