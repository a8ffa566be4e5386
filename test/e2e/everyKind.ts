/**
 * A folder with a file of every kind and everything that a backup keeps of them, and a description of such a
 * folder that is made without the code under test: by Node's own calls and by getfattr.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import { isRoot } from "./cli.ts"

export const isInstalled = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined

const bytesOf = (parent: string, name: Uint8Array): Buffer => Buffer.concat([Buffer.from(`${parent}/`), name])

const makeSparse = (file: string): void => {
  const fd = openSync(file, "wx")
  ftruncateSync(fd, 9 * 1024 * 1024 + 17)
  writeSync(fd, Buffer.from("in the middle of nothing"), 0, 24, 5 * 1024 * 1024)
  closeSync(fd)
}

/** A listening socket whose file stays: its maker is killed before it can remove it. */
const makeSocket = (file: string): void => {
  const program = `require("node:net").createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, "SIGKILL"))`
  spawnSync(process.execPath, ["-e", program])
}

const makeSpecials = (folder: string): void => {
  mkdirSync(folder)
  execFileSync("mkfifo", ["-m", "640", path.join(folder, "fifo")])
  makeSocket(path.join(folder, "socket"))
  if (!isRoot) return
  execFileSync("mknod", [path.join(folder, "null"), "c", "1", "3"])
  execFileSync("mknod", [path.join(folder, "disk"), "b", "7", "200"])
  writeFileSync(path.join(folder, "capable"), "#!/bin/true\n", { mode: 0o755 })
  spawnSync("setcap", ["cap_net_raw+ep", path.join(folder, "capable")])
}

const makeLinks = (folder: string): void => {
  mkdirSync(folder)
  writeFileSync(path.join(folder, "z-original"), "one file, three names")
  linkSync(path.join(folder, "z-original"), path.join(folder, "a-link"))
  linkSync(path.join(folder, "z-original"), path.join(path.dirname(folder), "link-above"))
  symlinkSync("z-original", path.join(folder, "symlink"))
  symlinkSync("/no/such/place", path.join(folder, "dangling"))
  symlinkSync(Buffer.from([0x2e, 0x2f, 0xff, 0xfe]), path.join(folder, "raw-target"))
}

const makeNames = (folder: string): void => {
  mkdirSync(folder)
  const names = [
    "new\nline",
    "tab\tand \u001b[31mred",
    " space ",
    "quote'\"\\",
    "*?[glob]",
    "-dash",
    "ünï📦",
    "..."
  ]
  for (const name of names) writeFileSync(path.join(folder, name), name)
  writeFileSync(bytesOf(folder, Buffer.from([0xff, 0xfe, 0x80])), "not UTF-8")
  writeFileSync(path.join(folder, "n".repeat(255)), "the longest name")
}

const makeModes = (folder: string): void => {
  mkdirSync(folder)
  for (const mode of [0o000, 0o400, 0o644, 0o777, 0o1777, 0o2755, 0o4755, 0o6711]) {
    const file = path.join(folder, `mode-${mode.toString(8)}`)
    writeFileSync(file, "")
    if (isRoot) chownSync(file, 1000 + mode, 2_000_000_000 + mode)
    chmodSync(file, mode)
  }
  mkdirSync(path.join(folder, "sticky"))
  chmodSync(path.join(folder, "sticky"), 0o3777)
}

const makeAttributes = (folder: string): void => {
  mkdirSync(folder)
  const file = path.join(folder, "file")
  writeFileSync(file, "with attributes")
  execFileSync("setfattr", ["-n", "user.plain", "-v", "value", file])
  execFileSync("setfattr", ["-n", "user.binary", "-v", "0x00ff0a", file])
  execFileSync("setfattr", ["-n", "user.empty", file])
  execFileSync("setfattr", ["-n", "user.on-folder", "-v", "1", folder])
  if (!isInstalled("setfacl")) return
  execFileSync("setfacl", ["-m", "u:1234:rw,g:4321:r,m::rw", file])
  mkdirSync(path.join(folder, "inheriting"))
  execFileSync("setfacl", ["-d", "-m", "u:1234:rwx,g::r", path.join(folder, "inheriting")])
}

const makeTimes = (folder: string): void => {
  mkdirSync(folder)
  const times = { old: "1931-05-06 07:08:09.123456789", epoch: "1970-01-01 00:00:00.000000001" }
  const late = { young: "2106-02-07 06:28:17.999999999" }
  for (const [name, time] of Object.entries({ ...times, ...late })) {
    writeFileSync(path.join(folder, name), name)
    execFileSync("touch", ["-h", "-d", `${time} UTC`, path.join(folder, name)])
  }
  symlinkSync("old", path.join(folder, "link"))
  execFileSync("touch", ["-h", "-d", "1969-12-31 23:59:59.500000000 UTC", path.join(folder, "link")])
}

const makeDeep = (folder: string): void => {
  const deepest = path.join(folder, ...Array.from({ length: 60 }, (_, level) => `level-${level}`))
  mkdirSync(deepest, { recursive: true })
  writeFileSync(path.join(deepest, "at the bottom"), "hello")
}

/** Makes the folder; attributes only where the system has the tools for them. */
export const make = (folder: string): void => {
  mkdirSync(folder)
  makeLinks(path.join(folder, "links"))
  makeModes(path.join(folder, "modes"))
  makeNames(path.join(folder, "names"))
  makeSpecials(path.join(folder, "specials"))
  if (isInstalled("setfattr")) makeAttributes(path.join(folder, "attributes"))
  makeDeep(path.join(folder, "deep"))
  mkdirSync(path.join(folder, "empty"))
  writeFileSync(path.join(folder, "empty-file"), "")
  makeSparse(path.join(folder, "sparse"))
  makeTimes(path.join(folder, "times"))
  execFileSync("touch", ["-d", "1955-11-05 06:15:00.000000042 UTC", path.join(folder, "times")])
  execFileSync("touch", ["-d", "2001-02-03 04:05:06.789000000 UTC", folder])
}

const contentOf = (file: Buffer, kind: string): string => {
  if (kind === "100000") return createHash("sha256").update(readFileSync(file)).digest("hex")
  return kind === "120000" ? readlinkSync(file, { encoding: "buffer" }).toString("hex") : ""
}

/** One line each: name, mode, owner, time, size, device, content, and which names are one file. */
const describeEntry = (root: string, below: Buffer, firstNames: Map<bigint, string>): string => {
  const file = Buffer.concat([Buffer.from(root), below])
  const stat = lstatSync(file, { bigint: true })
  const kind = (stat.mode & 0o170000n).toString(8)
  const name = below.toString("latin1")
  const isLinked = kind !== "40000" && stat.nlink > 1n
  if (isLinked && !firstNames.has(stat.ino)) firstNames.set(stat.ino, name)
  return [
    JSON.stringify(name),
    stat.mode.toString(8),
    `${stat.uid}:${stat.gid}`,
    `${stat.mtimeNs} ns`,
    kind === "40000" ? "" : stat.size,
    stat.rdev,
    contentOf(file, kind),
    isLinked ? `${stat.nlink} names, first ${firstNames.get(stat.ino)}` : ""
  ].join(" | ")
}

const attributesOf = (root: string): ReadonlyArray<string> =>
  isInstalled("getfattr")
    ? execFileSync("getfattr", ["-R", "-h", "-d", "-m", "-", "-e", "hex", "."], {
        cwd: root,
        encoding: "latin1"
      })
        .split("\n\n")
        .toSorted()
    : []

/** Everything in and of a folder, as sorted lines. */
export const describe = (root: string): ReadonlyArray<string> => {
  const firstNames = new Map<bigint, string>()
  const lines: Array<string> = []
  const visit = (below: Buffer): void => {
    lines.push(describeEntry(root, below, firstNames))
    const place = Buffer.concat([Buffer.from(root), below])
    if (!lstatSync(place).isDirectory()) return
    const names = readdirSync(place, { encoding: "buffer" }).toSorted(Buffer.compare)
    for (const name of names) visit(Buffer.concat([below, Buffer.from("/"), name]))
  }
  visit(Buffer.alloc(0))
  return [...lines, ...attributesOf(root)]
}
