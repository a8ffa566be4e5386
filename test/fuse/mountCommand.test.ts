/** `granary mount` and `granary unmount`, as they are used: real stores, real programs, in mounts of their own. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { chmodSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { until } from "../conformance/fuseDriverSubject.ts"
import { noMounts } from "./MountScene.ts"
import type { PrivateMounts } from "./PrivateMounts.ts"
import { isRunning, openStoreMounts, type Ready, type StoreMounts } from "./StoreMounts.ts"

const sourceScript = `
cd "$1"; echo hello > a.txt; ln -s a.txt link; ln a.txt hard; mkdir -p sub/deeper; echo deep > sub/deeper/file
head -c 3000000 /dev/urandom > sub/big; printf x > "$(printf 'bad\\377')"; touch -d 1960-01-01 old; mkfifo fifo
chmod 4751 hard; setfattr -n user.foo -v bar a.txt; setfacl -m u:1000:rwx sub/big; mkdir wide
for i in $(seq 300); do echo $i > wide/f$i; done
truncate -s 8M "$2"; mke2fs -q -F -t ext4 "$2"
`

describe.skipIf(noMounts !== undefined)(
  `granary mount${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    let on: StoreMounts
    let mounts: PrivateMounts
    let [store, source, image] = ["", "", ""]

    const granary = (...words: ReadonlyArray<string>) => on.granary(...words)
    const backup = (id: string, ...words: ReadonlyArray<string>) => on.backup(id, ...words)
    const mount = (...words: ReadonlyArray<string>): Ready => on.mount(...words)

    beforeAll(async () => {
      if (noMounts !== undefined) return
      on = await openStoreMounts()
      ;({ mounts, store } = on)
      source = mounts.directory("source")
      image = path.join(mounts.folder, "disk")
      const made = mounts.shell(sourceScript, source, image)
      assert.strictEqual(made.code, 0, made.error)
      backup("test", `root.pxar:${source}`, `disk.img:${image}`)
    })

    afterAll(() => on?.close())

    it("shows the whole store in the background, and ends", async () => {
      const point = mounts.directory("whole")
      const { driver, log, mountpoint, pid } = mount(point)
      assert.deepStrictEqual([driver, mountpoint], ["kernel", point])
      assert.strictEqual(path.dirname(log ?? ""), path.join(mounts.folder, "state/granary"))
      assert.strictEqual(readFileSync(log ?? "", "utf8"), "")
      assert.deepStrictEqual(mounts.mounted(), [point])
      const tree = `${point}/host/test/latest/root.pxar`
      const same = mounts.run("diff", "-r", "--no-dereference", "-x", "fifo", source, tree)
      assert.strictEqual(same.code, 0, same.out + same.error)
      const { code, error, out } = granary("unmount", point, "--output", "json")
      assert.strictEqual(code, 0, error)
      assert.deepStrictEqual(JSON.parse(out), { mountpoint: point, outcome: "unmounted" })
      assert.deepStrictEqual(mounts.mounted(), [])
      await until("its process has ended", () => !isRunning(pid))
    })

    it("shows every attribute of an archive to the programs of a system", () => {
      const point = mounts.directory("archive")
      mount("host/test", "root.pxar", point)
      const shown = (format: string) =>
        mounts.shell(`cd "$1"; find . -printf '${format}\\n' | LC_ALL=C sort`, source).out
      const format = "%P %y %m %U %G %T@ %l"
      const found = mounts.shell(`cd "$1"; find . -printf '${format}\\n' | LC_ALL=C sort`, point).out
      assert.strictEqual(found, shown(format))
      assert.include(
        mounts.run("getfattr", "-n", "user.foo", "--absolute-names", `${point}/a.txt`).out,
        'user.foo="bar"'
      )
      assert.include(mounts.run("getfacl", "-n", "-c", "-p", `${point}/sub/big`).out, "user:1000:rwx")
      const links = mounts.shell('stat -c "%h %i" "$1/a.txt" "$1/hard"', point).out.trim().split("\n")
      assert.strictEqual(links[0], links[1])
      assert.match(links[0] ?? "", /^2 /)
      const sums = mounts.shell(
        'tar cf - --exclude ./fifo -C "$1" . | tar xf - -C "$2"; diff -r --no-dereference -x fifo "$1" "$2"; ls -lR "$1"',
        point,
        mounts.directory("untarred")
      )
      assert.strictEqual(sums.code, 0, sums.out + sums.error)
      assert.strictEqual(granary("unmount", point).code, 0)
    })

    it("shows images that other programs can use", () => {
      const point = mounts.directory("image")
      mount("host/test/latest/disk.img", point)
      const checked = mounts.shell('cmp "$1" "$2" && e2fsck -fn "$2"', image, `${point}/disk.img`)
      assert.strictEqual(checked.code, 0, checked.out + checked.error)
      assert.strictEqual(granary("unmount", point).code, 0)
    })

    it("leaves nothing behind when its process is killed", async () => {
      const point = mounts.directory("killed")
      const { pid } = mount("host/test", point)
      process.kill(pid, "SIGKILL")
      await until("the dead mount is taken away", () => mounts.mounted().length === 0)
      assert.strictEqual(mounts.run("ls", point).code, 0)
    })

    it.each(["SIGTERM", "SIGINT"] as const)("unmounts when its process gets %s", async (signal) => {
      const { pid } = mount(mounts.directory(`signal-${signal}`))
      process.kill(pid, signal)
      await until("nothing is mounted", () => mounts.mounted().length === 0)
      await until("its process has ended", () => !isRunning(pid))
    })

    it("stays in the foreground until it is interrupted", async () => {
      const point = mounts.directory("foreground")
      const words = mounts.granary("-r", store, "mount", "--foreground", "--output", "json", point)
      const program = mounts.start(...words)
      const [ready] = (await once(program.stdout ?? program, "data")) as [Buffer]
      const { pid } = JSON.parse(ready.toString()) as Ready
      assert.deepStrictEqual(mounts.mounted(), [point])
      // What limits its time passes the signal on.
      program.kill("SIGINT")
      await until("nothing is mounted", () => mounts.mounted().length === 0)
      await until("its process has ended", () => !isRunning(pid))
    })

    it("ends with whoever has asked for it in the foreground", async () => {
      const point = mounts.directory("orphan")
      const words = mounts.granary("-r", store, "mount", "--foreground", "--output", "json", point)
      const program = mounts.start(...words)
      await once(program.stdout ?? program, "data")
      const parent = mounts.run("pgrep", "-f", "-x", words.join(" ")).out.trim()
      process.kill(Number(parent), "SIGKILL")
      await until("nothing is mounted", () => mounts.mounted().length === 0)
    })

    it("detaches what is in use, and says so", async () => {
      const point = mounts.directory("busy")
      const { pid } = mount("host/test", "root.pxar", point)
      const user = mounts.start(
        "sh",
        "-c",
        `exec 5< ${point}/sub/big; sleep 3; head -c 5 <&5 | wc -c; sleep 50`
      )
      await until("it is in use", () => mounts.run("fuser", "-sm", point).code === 0)
      const { code, out } = granary("unmount", point)
      assert.strictEqual(code, 3)
      assert.include(out, "in use still")
      assert.deepStrictEqual(mounts.mounted(), [])
      const [read] = (await once(user.stdout ?? user, "data")) as [Buffer]
      assert.strictEqual(read.toString().trim(), "5")
      user.kill("SIGTERM")
      await until("its process has ended with its last user", () => !isRunning(pid))
    })

    it("sees new snapshots, and keeps what is read from being forgotten", async () => {
      const point = mounts.directory("changing")
      mount(point)
      const list = () => mounts.run("ls", `${point}/host/test`).out.trim().split("\n")
      const before = list().filter((name) => name !== "latest")
      backup("test", `root.pxar:${source}`)
      await until("the new one is there", () => list().length === before.length + 2)
      const latest = mounts.run("readlink", `${point}/host/test/latest`).out.trim()
      assert.notInclude(before, latest)
      mounts.run("cat", `${point}/host/test/${latest}/root.pxar/a.txt`)
      const { code, error } = granary("forget", "--yes", `host/test/${latest}`)
      assert.strictEqual(code, 1)
      assert.match(error, /wait for the other operation to end/)
      assert.strictEqual(granary("unmount", point).code, 0)
      await until("it may be forgotten", () => granary("forget", "--yes", `host/test/${latest}`).code === 0)
    })

    it("refuses mountpoints that are not fit, and says what to do", () => {
      const refused = (point: string, pattern: RegExp) => {
        const { code, error } = granary("mount", point)
        assert.strictEqual(code, 1, point)
        assert.match(error, pattern)
      }
      const full = mounts.directory("full")
      writeFileSync(path.join(full, "file"), "")
      refused(path.join(mounts.folder, "missing"), /no such directory.*mkdir/)
      refused(path.join(full, "file"), /is not a directory/)
      refused(full, /is not empty/)
      refused(mounts.folder, /would hide the folder of the datastore/)
      refused(mounts.directory("store/inside"), /lies in the folder of the datastore/)
      rmdirSync(path.join(store, "inside"))
      const point = mounts.directory("twice")
      mount(point)
      refused(point, /in use already.*granary unmount/)
      assert.strictEqual(granary("unmount", point).code, 0)
      assert.match(granary("unmount", point).error, /nothing is mounted there/)
      const foreign = mounts.shell('mount -t tmpfs none "$1"', mounts.directory("foreign"))
      assert.strictEqual(foreign.code, 0)
      refused(path.join(mounts.folder, "foreign"), /mount of type tmpfs/)
      assert.match(granary("unmount", path.join(mounts.folder, "foreign")).error, /is no datastore/)
      assert.deepStrictEqual(mounts.mounted(), [])
    })

    it("refuses what is not there, and leaves nothing mounted", () => {
      const point = mounts.directory("nothing")
      const refused = (pattern: RegExp, ...words: ReadonlyArray<string>) => {
        const { error, out } = granary("mount", "--output", "json", ...words, point)
        assert.strictEqual(out, "")
        assert.match(error, pattern)
      }
      refused(/no such|does not exist|not found/i, "host/test/2001-01-01T00:00:00Z")
      refused(/no such backup group/, "host/other")
      refused(/granary files/, "host/test", "none.pxar")
      refused(/no such path/, "host/test", "root.pxar", "sub/none")
      refused(/--driver/, "--driver", "none")
      refused(/write ns\/NAMESPACE/, "one/two")
      const { error } = mounts.run(...mounts.granary("-r", source, "mount", point))
      assert.match(error, /datastore/)
      assert.deepStrictEqual(mounts.mounted(), [])
    })

    it("needs the right key", () => {
      const keys = ["right", "wrong"].map((name) => path.join(mounts.folder, `${name}.key`))
      for (const key of keys) {
        const made = granary("key", "create", key, "--kdf", "none")
        assert.strictEqual(made.code, 0, made.error)
        chmodSync(key, 0o600)
      }
      const [right = "", wrong = ""] = keys
      backup("secret", "--keyfile", right, `root.pxar:${source}`)
      const point = mounts.directory("keys")
      const refused = granary("mount", "--keyfile", wrong, "host/secret", "root.pxar", point)
      assert.strictEqual(refused.code, 1)
      assert.match(refused.error, /key/)
      // The key of nothing at all is noticed wherever the tree begins.
      for (const what of [[], ["host/secret"]]) {
        const { code, error } = granary("mount", "--keyfile", wrong, ...what, point)
        assert.strictEqual(code, 1)
        assert.match(error, /host\/secret.*another key.*--keyfile/)
      }
      assert.deepStrictEqual(mounts.mounted(), [])
      const { pid } = mount("--keyfile", right, "host/secret", "root.pxar", point)
      assert.strictEqual(mounts.run("cat", `${point}/a.txt`).out, "hello\n")
      const told = readFileSync(`/proc/${pid}/cmdline`, "utf8") + readFileSync(`/proc/${pid}/environ`, "utf8")
      assert.notInclude(told, "right.key")
      assert.strictEqual(granary("unmount", point).code, 0)
    })

    it("gives everything to whom it is told to, under the names it is told to", () => {
      const point = mounts.directory("owners")
      mount("--uid", "1234", "--gid", "5678", "--template", "{type}-{id}/{time-safe}", point)
      const { out } = mounts.shell('stat -c "%u %g" "$1"/host-test/latest/root.pxar/a.txt', point)
      assert.strictEqual(out, "1234 5678\n")
      assert.notInclude(mounts.run("ls", `${point}/host-test`).out, ":")
      assert.strictEqual(granary("unmount", point).code, 0)
    })
  }
)
