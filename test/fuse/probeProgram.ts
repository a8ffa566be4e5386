/**
 * A process that looks at files, one JSON request a line, one JSON answer a line: `{"value":...}` or
 * `{"code":"ENOENT"}`. Paths and bytes are base64, so that any name can be asked for; numbers that JSON has no room
 * for are text.
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import { getSystemErrorMap } from "node:util"
import * as Posix from "../../src/platform/Posix.ts"

type Request = Readonly<Record<string, string | number | undefined>>

const koffi = createRequire(import.meta.url)("koffi")
const getxattr = koffi.load(null).func("int64 lgetxattr(void *, void *, void *, uint64)")

const bytesOf = (text: string | number | undefined): Buffer => Buffer.from(String(text), "base64")
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** One xattr into room of that size, as a program calls it. */
const xattrInto = (path: Uint8Array, name: string, roomBytes: number): number => {
  const room = new Uint8Array(Math.max(1, roomBytes))
  const length = getxattr(Posix.cString(path), Posix.cString(name), room, roomBytes)
  if (length >= 0) return Number(length)
  const errno: number = koffi.errno()
  const code = getSystemErrorMap().get(-errno)?.[0]
  throw Object.assign(new Error("getxattr"), { code })
}

const withFile = <A>(path: Buffer, use: (fd: number) => A, flags = fs.constants.O_RDONLY): A => {
  const fd = fs.openSync(path, flags)
  try {
    return use(fd)
  } finally {
    fs.closeSync(fd)
  }
}

const read = (path: Buffer, offset: number, lengthBytes: number): string =>
  withFile(path, (fd) => {
    const bytes = Buffer.alloc(lengthBytes)
    return base64(bytes.subarray(0, fs.readSync(fd, bytes, 0, lengthBytes, offset)))
  })

const stat = (path: Buffer) => {
  const found = fs.lstatSync(path, { bigint: true })
  const { blocks, dev, gid, ino, mode, mtimeNs, nlink, rdev, size, uid } = found
  return Object.fromEntries(
    Object.entries({ blocks, dev, gid, ino, mode, mtimeNs, nlink, rdev, size, uid }).map(([key, value]) => [
      key,
      String(value)
    ])
  )
}

const change = (path: Buffer, how: string): void => {
  if (how === "write") withFile(path, () => undefined, fs.constants.O_WRONLY)
  if (how === "create") withFile(path, () => undefined, fs.constants.O_WRONLY | fs.constants.O_CREAT)
  if (how === "mkdir") fs.mkdirSync(path)
  if (how === "rmdir") fs.rmdirSync(path)
  if (how === "unlink") fs.unlinkSync(path)
  if (how === "rename") fs.renameSync(path, Buffer.concat([path, Buffer.from("2")]))
  if (how === "link") fs.linkSync(path, Buffer.concat([path, Buffer.from("2")]))
  if (how === "symlink") fs.symlinkSync("target", path)
  if (how === "chmod") fs.chmodSync(path, 0o600)
  if (how === "chown") fs.chownSync(path, 1, 1)
  if (how === "truncate") fs.truncateSync(path, 1)
  if (how === "utimes") fs.utimesSync(path, 1, 1)
  if (how === "setxattr") Posix.setXattr(Posix.cString(path), Buffer.from("user.new"), Buffer.from("x"))
}

const answer = (request: Request): unknown => {
  const path = bytesOf(request["path"])
  const [offset, lengthBytes] = [Number(request["offset"]), Number(request["lengthBytes"])]
  switch (request["do"]) {
    case "stat":
      return stat(path)
    case "list":
      return fs.readdirSync(path, { encoding: "buffer" }).map(base64)
    case "readLink":
      return base64(fs.readlinkSync(path, { encoding: "buffer" }))
    case "read":
      return read(path, offset, lengthBytes)
    case "xattrNames":
      return Posix.listXattrs(Posix.cString(path)).map(base64)
    case "xattr": {
      const value = Posix.getXattr(Posix.cString(path), Buffer.from(String(request["name"])))
      return value === undefined ? null : base64(value)
    }
    case "xattrInto":
      return xattrInto(path, String(request["name"]), lengthBytes)
    case "nextData":
      return withFile(path, (fd) => Posix.nextData(fd, offset) ?? null)
    case "nextHole":
      return withFile(path, (fd) => Posix.nextHole(fd, offset) ?? null)
    case "statfs":
      return fs.statfsSync(path)
    case "change":
      return change(path, String(request["how"]))
    default:
      throw new Error(`unknown request ${String(request["do"])}`)
  }
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

// A signal with a handler wakes whoever waits in a system call.
process.on("SIGUSR2", () => undefined)

console.log("ready")
for await (const line of createInterface(process.stdin)) {
  try {
    console.log(JSON.stringify({ value: answer(JSON.parse(line) as Request) ?? null }))
  } catch (error) {
    console.log(JSON.stringify({ code: codeOf(error) }))
  }
}
