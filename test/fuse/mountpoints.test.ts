/** Where may be mounted, what is mounted where, and which driver is taken. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { Driver, DriverName } from "../../src/fuse/Driver.ts"
import * as Drivers from "../../src/fuse/Drivers.ts"
import { MountError } from "../../src/fuse/MountError.ts"
import * as Mountpoint from "../../src/fuse/Mountpoint.ts"
import * as MountTable from "../../src/fuse/MountTable.ts"
import * as Unmounting from "../../src/fuse/Unmounting.ts"

const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
63 22 0:39 / /mnt/a\\040b ro,nosuid,nodev,relatime shared:3 master:4 - fuse.granary /srv/st\\040ore ro,user_id=0
64 63 0:40 / /mnt/a\\040b rw - tmpfs none rw
65 22 0:41 / /mnt/\\303\\274 rw - tmpfs none rw
`

describe("the table of mounts", () => {
  it("tells where, what, and from where", () => {
    const entries = MountTable.parse(mountinfo)
    assert.deepStrictEqual(entries[1], {
      device: "0:39",
      mountpoint: "/mnt/a b",
      type: "fuse.granary",
      source: "/srv/st ore"
    })
    assert.deepStrictEqual(
      entries.map((entry) => MountTable.isOurs(entry)),
      [false, true, false, false]
    )
    assert.strictEqual(entries[3]?.mountpoint, "/mnt/ü")
  })

  it("writes a path as the kernel does", () => {
    assert.strictEqual(MountTable.escape("/a b\tc\nd\\e#f"), "/a\\040b\\011c\\012d\\134e\\043f")
  })

  it.effect("knows the root of this machine", () =>
    Effect.gen(function* () {
      if (process.platform === "linux") assert.isDefined(yield* MountTable.at("/"))
      assert.isUndefined(yield* MountTable.at("/no such place"))
    })
  )
})

const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(path.join(tmpdir(), "granary-points-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

const refusal = (point: string, folders: ReadonlyArray<string> = []) =>
  Effect.map(Effect.flip(Mountpoint.check(point, folders)), ({ detail, reason }) => {
    assert.strictEqual(reason, "BadMountpoint")
    return detail
  })

describe("a mountpoint", () => {
  it.effect("is an empty directory, by its real path", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        mkdirSync(path.join(folder, "point"))
        symlinkSync("point", path.join(folder, "link"))
        const real = yield* Mountpoint.check(path.join(folder, "link"), [path.join(folder, "point-store")])
        assert.strictEqual(path.basename(real), "point")
        writeFileSync(path.join(folder, "file"), "")
        assert.strictEqual(yield* refusal(folder), "is not empty")
        assert.strictEqual(yield* refusal(path.join(folder, "file")), "is not a directory")
        assert.strictEqual(yield* refusal(path.join(folder, "none")), "there is no such directory")
      })
    )
  )

  it.effect("neither lies in a folder of the store nor around one, links or not", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const store = path.join(folder, "store")
        mkdirSync(path.join(store, "empty"), { recursive: true })
        symlinkSync("store", path.join(folder, "link"))
        for (const named of [store, path.join(folder, "link")]) {
          assert.match(yield* refusal(path.join(store, "empty"), [named]), /^lies in the folder/)
          assert.match(yield* refusal(path.join(folder, "link", "empty"), [named]), /^lies in the folder/)
          assert.match(yield* refusal(store, [named]), /^lies in the folder/)
          assert.match(yield* refusal(folder, [named]), /^would hide the folder/)
        }
      })
    )
  )

  it.effect.skipIf(process.platform !== "linux")("has nothing mounted on it", () =>
    Effect.gen(function* () {
      assert.match(yield* refusal("/proc"), /in use already, by a mount of type proc/)
    })
  )
})

describe("unmounting", () => {
  it.effect("takes away nothing that is not ours", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        for (const place of ["/", folder, "/no/such/place"]) {
          const error = yield* Effect.flip(Unmounting.unmount(place))
          assert.instanceOf(error, MountError)
          assert.strictEqual(error.reason, "NotMounted")
        }
        // Somebody else's device at the place that is meant.
        assert.strictEqual(yield* Unmounting.end("/", "999:999"), "unmounted")
        if (process.platform === "linux") assert.isDefined(yield* MountTable.at("/"))
      })
    )
  )
})

const fake = (name: DriverName, obstacle: string | undefined): Driver => ({
  name,
  obstacle: Effect.succeed(obstacle),
  mount: () => Effect.die("not to be mounted")
})

describe("drivers", () => {
  const choose = (choice: "auto" | DriverName, kernel?: string, native?: string) =>
    Drivers.choose(choice, "/mnt", [fake("kernel", kernel), fake("fuse-native", native)])

  it.effect("the better one is taken, or the one that was asked for", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* choose("auto")).name, "kernel")
      assert.strictEqual((yield* choose("auto", "no device")).name, "fuse-native")
      assert.strictEqual((yield* choose("fuse-native")).name, "fuse-native")
      assert.strictEqual((yield* choose("kernel", undefined, "no package")).name, "kernel")
    })
  )

  it.effect("why none works is told of each", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(choose("auto", "no device", "no package"))
      assert.strictEqual(error.reason, "NoDriver")
      assert.match(error.message, /kernel: no device; driver fuse-native: no package/)
      assert.notInclude((yield* Effect.flip(choose("kernel", "no device"))).message, "fuse-native")
    })
  )

  it("both are there, the kernel's first", () => {
    assert.deepStrictEqual(
      Drivers.all.map(({ name }) => name),
      ["kernel", "fuse-native"]
    )
  })
})
