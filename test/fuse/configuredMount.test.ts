/** `granary mount` of a datastore by the name that it has in the configuration: it counts as read as long as it lives. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as path from "node:path"
import { until } from "../conformance/fuseDriverSubject.ts"
import { noMounts } from "./MountScene.ts"
import { isRunning, openStoreMounts, type Ready, type StoreMounts } from "./StoreMounts.ts"

describe.skipIf(noMounts !== undefined)(
  `granary mount by a configured name${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    let on: StoreMounts
    let config = ""

    const granary = (...words: ReadonlyArray<string>) =>
      on.mounts.run(...on.mounts.granary("--config-dir", config, ...words))

    const succeed = (...words: ReadonlyArray<string>): string => {
      const { code, error, out } = granary(...words)
      assert.strictEqual(code, 0, error + out)
      return out
    }

    const readers = (): number => {
      const status = JSON.parse(succeed("datastore", "status", "named", "--output", "json")) as {
        readonly "active-operations": { readonly read: number }
      }
      return status["active-operations"].read
    }

    const mount = (point: string): Ready =>
      JSON.parse(succeed("mount", "-r", "named", "--output", "json", point)) as Ready

    beforeAll(async () => {
      if (noMounts !== undefined) return
      on = await openStoreMounts()
      config = path.join(on.mounts.folder, "config")
      on.backup("test", `a.conf:${path.resolve(import.meta.dirname, "../../LICENSE")}`)
      succeed("datastore", "create", "named", on.store, "--reuse")
    })

    afterAll(() => on?.close())

    it("counts as one reader until it is unmounted, and whoever wants the store alone waits", async () => {
      const point = on.mounts.directory("by-name")
      const { pid } = mount(point)
      assert.include(on.shell('cat "$1/host/test/latest/a.conf"', point), "Apache License")
      assert.strictEqual(readers(), 1)
      const { code, error } = granary("datastore", "remove", "named", "--wait", "0")
      assert.strictEqual(code, 1)
      assert.match(error, /still at work in it \(1 reading, 0 writing\)/)
      succeed("unmount", point)
      await until("its process has ended", () => !isRunning(pid))
      succeed("datastore", "remove", "named", "--wait", "0")
      succeed("datastore", "create", "named", on.store, "--reuse")
    })

    it("does not count any more when its process was killed", async () => {
      const { pid } = mount(on.mounts.directory("killed"))
      process.kill(pid, "SIGKILL")
      await until("nobody reads", () => readers() === 0)
      await until("nothing is mounted", () => on.mounts.mounted().length === 0)
    })

    it("is refused while the store is offline, and leaves nothing", () => {
      succeed("datastore", "maintenance", "named", "offline", "--message", "a new disk")
      const { code, error } = granary("mount", "-r", "named", on.mounts.directory("refused"))
      assert.strictEqual(code, 1)
      assert.match(error, /named: .*offline.*a new disk/s)
      assert.deepStrictEqual(on.mounts.mounted(), [])
    })
  }
)
