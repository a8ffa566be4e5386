/**
 * Programs of the real world on a mount: whatever they tell of the files that were backed up, they tell of the mount
 * too. The tree has a file of every kind (`everyKind`); it was stored in one archive, and split in two.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as path from "node:path"
import { isInstalled, make } from "../e2e/everyKind.ts"
import { noMounts } from "./MountScene.ts"
import { openStoreMounts, type StoreMounts } from "./StoreMounts.ts"

const hasQemu = isInstalled("qemu-img")

const imageScript = `
cp /bin/sh "$1/specials/sh"
truncate -s 24M "$2"; mke2fs -q -F -t ext4 -d "$1/names" "$2"
`

describe.skipIf(noMounts !== undefined)(
  `programs on a mount${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    let on: StoreMounts
    let [source, image, point] = ["", "", ""]

    const tree = (id: string): string => `${point}/host/${id}/latest/root.pxar`

    beforeAll(async () => {
      if (noMounts !== undefined) return
      on = await openStoreMounts()
      source = path.join(on.mounts.folder, "source")
      image = path.join(on.mounts.folder, "disk.raw")
      make(source)
      on.shell(imageScript, source, image)
      const qcow = path.join(on.mounts.folder, "disk.qcow2")
      if (hasQemu) on.shell('qemu-img convert -f raw -O qcow2 "$1" "$2"', image, qcow)
      const images = [`disk.img:${image}`, ...(hasQemu ? [`qcow.img:${qcow}`] : [])]
      on.backup("single", `root.pxar:${source}`, ...images)
      on.backup("split", "--change-detection", "data", `root.pxar:${source}`)
      point = on.mounts.directory("point")
      on.mount(point)
    })

    afterAll(() => on?.close())

    /** Scripts that are run in the source and in the mounts of both archives, and print the same in all of them. */
    const same = (...scripts: ReadonlyArray<string>): void => {
      const inFolder = (folder: string) => {
        const marked = scripts.flatMap((script) => [script, "echo ---"]).join("\n")
        return on.shell(`cd "$1"; export LC_ALL=C\n${marked}`, folder)
      }
      const expected = inFolder(source)
      assert.notInclude(expected, "---\n---", "something is found")
      for (const id of ["single", "split"]) assert.strictEqual(inFolder(tree(id)), expected, id)
    }

    it("find tells the same, whatever it is asked", () => {
      const asked = [
        "-links +1 ! -type d",
        "-empty",
        "-perm -4000",
        "-user 1420",
        "-samefile link-above",
        "-size +4M"
      ]
      same(
        "find . -printf '%P|%y|%m|%U|%G|%T@|%l\\n' | sort",
        "find . ! -type d -printf '%P|%s|%n\\n' | sort",
        ...asked.map((what) => `find . ${what} | sort`)
      )
    })

    it("ls -lR tells the same of everything but directories' sizes, links and blocks", () => {
      const directory = "s/^(d[^ ]+) +[0-9]+ +([0-9]+ +[0-9]+) +[0-9]+/\\1 \\2/"
      same(`ls -lRn --time-style=full-iso . | sed -E '/^total /d; s/ +/ /g; ${directory}'`)
      same("ls -1aQ names; ls -1UR . | sort")
    })

    it("tar writes the same archive, with access lists and attributes", () => {
      const pax = "--format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"
      // Access lists are no attributes of these names: they are told in their own words.
      const attributes = "--xattrs --xattrs-include='user.*' --xattrs-include='security.*' --acls"
      const tar = `tar -c --sort=name ${attributes} ${pax} .`
      same(`${tar} | sha256sum`)
    })

    it("diff -r, sha256sum -c and grep -r find no difference", () => {
      const list = path.join(on.mounts.folder, "sums")
      on.shell('cd "$1"; find . -type f -print0 | xargs -0 sha256sum -b > "$2"', source, list)
      for (const id of ["single", "split"]) {
        on.shell('diff -r --no-dereference -x specials "$1" "$2"', source, tree(id))
        assert.notInclude(on.shell('cd "$1"; sha256sum -c "$2"', tree(id), list), "FAILED")
      }
      same("grep -rslaF --exclude-dir=specials -e names -e hello -e nothing . | sort")
    })

    it.skipIf(!isInstalled("getfattr"))("getfattr and getfacl tell the same", () => {
      same("getfattr -R -h -d -m - -e hex . | awk -v RS= -v ORS='\\n\\n' 1 | sort")
      same("getfacl -R -n -P . | sort")
      same("getcap -r . 2> /dev/null || getfattr -n security.capability -e hex specials/capable")
    })

    it.skipIf(!isInstalled("rsync"))("rsync -aHAX sees nothing to be done, not even by checksums", () => {
      for (const id of ["single", "split"]) {
        const compare = 'rsync -aHAX --numeric-ids --delete --dry-run --itemize-changes "$@"'
        assert.strictEqual(on.shell(compare, `${source}/`, `${tree(id)}/`), "")
        assert.strictEqual(on.shell(compare, "--checksum", `${tree(id)}/`, `${source}/`), "")
      }
    })

    it("a shell completes names", () => {
      const complete = (words: string) =>
        on.mounts.run("bash", "-c", `cd "$1" && compgen ${words} | sort`, "bash", tree("single")).out
      assert.strictEqual(complete("-f li"), "link-above\nlinks\n")
      assert.strictEqual(complete("-d -- m"), "modes\n")
      assert.strictEqual(complete("-f names/ü"), "names/ünï📦\n")
      const above = on.mounts.run("bash", "-c", 'compgen -f "$1/host/s"', "bash", point).out
      assert.sameMembers(above.trim().split("\n"), [`${point}/host/single`, `${point}/host/split`])
    })

    const disk = (): string => `${point}/host/single/latest/disk.img`

    it("e2fsck and debugfs read a file system in an image", () => {
      on.shell('e2fsck -fn "$1"', disk())
      const listed = on.shell('debugfs -R "ls -p" "$1" 2> /dev/null', disk())
      assert.include(listed, "/*?[glob]/")
      const [, inode = ""] = /^\/(\d+)\/[^/]*\/[^/]*\/[^/]*\/tab\t/m.exec(listed) ?? []
      assert.include(on.shell('debugfs -R "cat <$2>" "$1" 2> /dev/null', disk(), inode), "tab\tand")
    })

    it("cp keeps the holes of an image", () => {
      const target = path.join(on.mounts.folder, "copy")
      const copy = 'cp --sparse=auto "$1" "$2"; cmp "$1" "$2"; cmp "$1" "$3"; du -k "$2" | cut -f1'
      const takenKib = Number(on.shell(copy, disk(), target, image))
      assert.isAtMost(takenKib, 16 * 1024)
      assert.isAtMost(Number(on.shell('du -k "$1" | cut -f1', disk())), 16 * 1024)
    })

    it("an image can be mounted by a loop device", (test) => {
      const inner = on.mounts.directory("inner")
      const attach = on.mounts.shell('mount -t ext4 -o loop,ro,noload "$1" "$2"', disk(), inner)
      if (attach.code !== 0) return test.skip(`no loop devices here: ${attach.error.trim()}`)
      try {
        on.shell('diff -r --no-dereference -x lost+found "$1" "$2"', path.join(source, "names"), inner)
      } finally {
        on.shell('umount "$1"', inner)
      }
    })

    it.skipIf(!hasQemu)("qemu-img converts an image, and checks one of its own", () => {
      const copy = path.join(on.mounts.folder, "copy.qcow2")
      on.shell('qemu-img convert -f raw -O qcow2 "$1" "$2"', disk(), copy)
      assert.include(on.shell('qemu-img compare -f raw -F qcow2 "$1" "$2"', image, copy), "identical")
      const stored = `${point}/host/single/latest/qcow.img`
      assert.include(on.shell('qemu-img check -f qcow2 "$1"', stored), "No errors were found")
      on.shell('qemu-img compare -f qcow2 -F raw "$1" "$2"', stored, image)
      const holes: ReadonlyArray<{ readonly zero: boolean; readonly data: boolean }> = JSON.parse(
        on.shell('qemu-img map -f raw --output=json "$1"', disk())
      )
      assert.isTrue(holes.some(({ data, zero }) => zero && !data))
    })
  }
)
