/**
 * What a mount makes of faults in the datastore while it is read: of damaged and missing chunks, of snapshots that are
 * taken away, of another mount beside it. The log lies where `granary mount` says.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { makeNoise } from "../../bench/SeededData.ts"
import { until } from "../conformance/fuseDriverSubject.ts"
import { noMounts } from "./MountScene.ts"
import { isRunning, openStoreMounts, type StoreMounts } from "./StoreMounts.ts"

const MiB = 1024 * 1024
const chunkBytes = 4 * MiB

/** Five chunks; the second one will be damaged, the fourth one missing. */
const image = Buffer.alloc(18 * MiB)
makeNoise("faults")(image)

const digestOf = (chunk: number): string =>
  createHash("sha256")
    .update(image.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes))
    .digest("hex")

describe.skipIf(noMounts !== undefined)(
  `faults of a store that is mounted${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    let on: StoreMounts
    let [point, log] = ["", ""]
    let pid = 0

    const chunkFile = (chunk: number): string => {
      const digest = digestOf(chunk)
      return path.join(on.store, ".chunks", digest.slice(0, 4), digest)
    }

    beforeAll(async () => {
      if (noMounts !== undefined) return
      on = await openStoreMounts()
      const file = path.join(on.mounts.folder, "disk.raw")
      writeFileSync(file, image)
      const source = on.mounts.directory("source")
      writeFileSync(path.join(source, "file"), "all is well\n")
      on.backup("test", `disk.img:${file}`, `root.pxar:${source}`)
      on.backup("gone", `root.pxar:${source}`)
      truncateSync(chunkFile(1), 1000)
      rmSync(chunkFile(3))
      point = on.mounts.directory("point")
      const ready = on.mount(point)
      ;[log, pid] = [ready.log ?? "", ready.pid]
    })

    afterAll(() => on?.close())

    const disk = (): string => `${point}/host/test/latest/disk.img`

    it("the bytes of damaged and missing chunks cannot be read, and all others can", () => {
      const good = [
        [0, chunkBytes],
        [2 * chunkBytes, chunkBytes],
        [4 * chunkBytes, 2 * MiB]
      ] as const
      for (const [offset, lengthBytes] of good) {
        const sum = on.shell(
          'tail -c "+$2" "$1" 2> /dev/null | head -c "$3" | sha256sum',
          disk(),
          String(offset + 1),
          String(lengthBytes)
        )
        const expected = createHash("sha256")
          .update(image.subarray(offset, offset + lengthBytes))
          .digest("hex")
        assert.include(sum, expected, `at ${offset}`)
      }
      for (const chunk of [1, 3]) {
        const first = chunk * chunkBytes
        for (const offset of [first, first + chunkBytes - 4096]) {
          const { code, error } = on.mounts.shell(
            'dd if="$1" of=/dev/null bs=4096 count=1 iflag=skip_bytes skip="$2"',
            disk(),
            String(offset)
          )
          assert.strictEqual(code, 1)
          assert.match(error, /Input\/output error/)
        }
      }
      assert.strictEqual(on.shell('cat "$1"', `${point}/host/test/latest/root.pxar/file`), "all is well\n")
    })

    it("the log names archive and digest, once each", () => {
      const lines = readFileSync(log, "utf8").trim().split("\n")
      for (const [chunk, word] of [
        [1, "corrupt"],
        [3, "missing"]
      ] as const) {
        const about = lines.filter((line) => line.includes(digestOf(chunk)))
        assert.strictEqual(about.length, 1, lines.join("\n"))
        assert.match(about[0] ?? "", new RegExp(`warn: host/test/.*Z disk\\.img: .*${word}`))
      }
    })

    it("a second mount of the store lives for itself", async () => {
      const other = on.mounts.directory("other")
      const second = on.mount("host/test", "root.pxar", other)
      assert.strictEqual(on.shell('cat "$1"/file', other), "all is well\n")
      process.kill(second.pid, "SIGKILL")
      await until("the dead mount is gone", () => on.mounts.mounted().length === 1)
      assert.isTrue(isRunning(pid))
      assert.strictEqual(on.shell('cat "$1"', `${point}/host/test/latest/root.pxar/file`), "all is well\n")
    })

    it("a snapshot that somebody takes away by force is not found any more, and all others are", async () => {
      const isListed = (name: string) => on.mounts.run("ls", `${point}/host`).out.includes(name)
      assert.isTrue(isListed("gone"))
      const time = on.shell('readlink "$1"', `${point}/host/gone/latest`).trim()
      const file = `${point}/host/gone/${time}/root.pxar/file`
      assert.strictEqual(on.shell('cat "$1"', file), "all is well\n")
      rmSync(path.join(on.store, "host/gone"), { recursive: true })
      const failure = () => on.mounts.run("cat", file).error
      await until("it is found no more", () => /No such file|Stale file handle/.test(failure()))
      assert.isFalse(isListed("gone"))
      assert.strictEqual(on.shell('cat "$1"', `${point}/host/test/latest/root.pxar/file`), "all is well\n")
    })

    it("a log that cannot be written keeps nobody from mounting, and is told of", () => {
      const other = on.mounts.directory("without a log")
      const state = path.join(on.mounts.folder, "no-folder")
      writeFileSync(state, "a file")
      const words = on.mounts.granary("-r", on.store, "mount", other)
      const { code, error, out } = on.mounts.run("env", `XDG_STATE_HOME=${state}`, ...words)
      assert.strictEqual(code, 0, error)
      assert.match(out, /faults are written nowhere \(.*ENOTDIR.*\); choose a place with --log-file/)
      on.unmount(other)
    })
  }
)
