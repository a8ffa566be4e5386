/**
 * Looks at a mount here and there, as the number `SEED` says, and holds every answer against the files that were backed
 * up: `randomLooks.ts SEED COUNT SOURCE TREE IMAGE MOUNTED_IMAGE`. It prints `same` in the end; or the first look whose
 * answer is another one, from which it can be found again, and ends with 1.
 *
 * Reads go through descriptors that stay open, several at a time, half of them past the page cache, anywhere or on from
 * where the last one ended. Directories are read in pieces, from places told by earlier pieces too (telldir, seekdir).
 */
import { inspect, isDeepStrictEqual } from "node:util"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { makeRandom } from "../../bench/SeededData.ts"
import * as Posix from "../../src/platform/Posix.ts"

const koffi = createRequire(import.meta.url)("koffi")
const library = koffi.load(null)
const getdents = library.func("int64 getdents64(int, void *, uint64)")
const lseek = library.func("int64 lseek(int, int64, int)")

const [seed = "1", count = "1", source = "", tree = "", image = "", mountedImage = ""] = process.argv.slice(2)
const random = makeRandom(Number(seed))
const below = (limit: number): number => Math.floor(random() * limit)
const oneOf = <A>(values: ReadonlyArray<A>): A => values[below(values.length)] as A

const chunkBytes = 4 * 1024 * 1024

/** The places of a pair of things that have to be alike. */
interface Pair {
  readonly original: string
  readonly shown: string
}

const pairsOf = (kind: (entry: fs.Dirent) => boolean): ReadonlyArray<Pair> =>
  fs
    .readdirSync(source, { recursive: true, withFileTypes: true })
    .filter(kind)
    .map((entry) => path.relative(source, path.join(entry.parentPath, entry.name)))
    .toSorted()
    .map((name) => ({ original: path.join(source, name), shown: path.join(tree, name) }))

const disk: Pair = { original: image, shown: mountedImage }
const files = [...pairsOf((entry) => entry.isFile()), disk, disk, disk]
const directories = [...pairsOf((entry) => entry.isDirectory()), { original: source, shown: tree }]
const everything = pairsOf(() => true)

interface Open extends Pair {
  readonly model: fs.promises.FileHandle
  readonly mounted: fs.promises.FileHandle
  readonly sizeBytes: number
  position: number
}

const open: Array<Open> = []

const close = async (file: Open | undefined): Promise<void> => {
  await Promise.all([file?.model.close(), file?.mounted.close()])
}

const openOne = async (): Promise<Open> => {
  if (open.length > 12) await close(open.shift())
  const pair = oneOf(files)
  const flags = fs.constants.O_RDONLY | (random() < 0.5 ? fs.constants.O_DIRECT : 0)
  const model = await fs.promises.open(pair.original)
  const mounted = await fs.promises.open(pair.shown, flags)
  const { size } = await model.stat()
  const file = { ...pair, model, mounted, sizeBytes: size, position: 0 }
  open.push(file)
  return file
}

const readAt = async (handle: fs.promises.FileHandle, offset: number, lengthBytes: number) => {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset)
  return buffer.subarray(0, bytesRead)
}

type Outcome = readonly [what: unknown, expected: unknown, found: unknown]

const lengths = [1, 7, 4096, 8192, 65_536, 131_072, 300_001]

const readOf = async (file: Open, offset: number, lengthBytes: number): Promise<Outcome> => {
  const [expected, found] = await Promise.all([
    readAt(file.model, offset, lengthBytes),
    readAt(file.mounted, offset, lengthBytes)
  ])
  return [{ read: file.shown, offset, lengthBytes }, expected, found]
}

const readOne = async (): Promise<Outcome> => {
  const file = open.length === 0 || random() < 0.1 ? await openOne() : oneOf(open)
  const goesOn = random() < 0.4
  const [offset, lengthBytes] = [goesOn ? file.position : below(file.sizeBytes + 10), oneOf(lengths)]
  file.position = offset + lengthBytes
  return readOf(file, offset, lengthBytes)
}

/** Several at a time; what is read must not depend on which of them ends first. */
const readSeveral = async (): Promise<ReadonlyArray<Outcome>> => {
  const some = [await openOne(), await openOne()]
  const wanted = [...some, ...some, ...some].map(
    (file) => [file, below(file.sizeBytes + 1), oneOf(lengths)] as const
  )
  return Promise.all(wanted.map((read) => readOf(...read)))
}

/** Where data begins in the image: chunks that are all zeros are holes, all others are data. */
const isZeros = (() => {
  const { size } = fs.statSync(image)
  const bytes = fs.readFileSync(image)
  const zeros = Buffer.alloc(chunkBytes)
  return Array.from({ length: Math.ceil(size / chunkBytes) }, (_, number) => {
    const chunk = bytes.subarray(number * chunkBytes, (number + 1) * chunkBytes)
    return chunk.equals(zeros.subarray(0, chunk.length))
  })
})()

const seekInModel = (offset: number, sizeBytes: number, wantsHole: boolean): number | undefined => {
  if (offset >= sizeBytes) return undefined
  const first = Math.floor(offset / chunkBytes)
  const found = isZeros.findIndex((zeros, number) => number >= first && zeros === wantsHole)
  if (found < 0) return wantsHole ? sizeBytes : undefined
  return Math.max(offset, found * chunkBytes)
}

const seekOne = (): Outcome => {
  const fd = fs.openSync(mountedImage, "r")
  try {
    const { size } = fs.fstatSync(fd)
    const [offset, wantsHole] = [below(size + 10), random() < 0.5]
    const found = wantsHole ? Posix.nextHole(fd, offset) : Posix.nextData(fd, offset)
    return [{ seek: wantsHole ? "hole" : "data", offset }, seekInModel(offset, size, wantsHole), found]
  } finally {
    fs.closeSync(fd)
  }
}

const statOf = (place: string) => {
  const { gid, ino, mode, mtimeNs, nlink, rdev, size, uid } = fs.lstatSync(place, { bigint: true })
  const isDirectory = (mode & 0o170000n) === 0o040000n
  const told = { gid, mode, mtimeNs, rdev, uid, ...(isDirectory ? {} : { nlink, size }) }
  return { ino, told }
}

const statOne = (): Outcome => {
  const { original, shown } = oneOf(everything)
  return [{ stat: shown }, statOf(original).told, statOf(shown).told]
}

const linkOne = (): Outcome => {
  const { original, shown } = oneOf(everything)
  const target = (place: string) =>
    fs.lstatSync(place).isSymbolicLink() ? fs.readlinkSync(place) : "no link"
  const attributes = (place: string) =>
    Posix.listXattrs(Posix.cString(place))
      .map(
        (name) =>
          [Buffer.from(name).toString(), Posix.getXattr(Posix.cString(place), name)?.toString()] as const
      )
      .toSorted()
  return [{ link: shown }, [target(original), attributes(original)], [target(shown), attributes(shown)]]
}

const missingOne = (): Outcome => {
  const { shown } = oneOf(directories)
  return [{ missing: shown }, false, fs.existsSync(path.join(shown, `missing-${below(50)}`))]
}

interface Told {
  readonly name: string
  readonly cookie: bigint
}

/** One piece of a directory: as many entries as fit into `roomBytes`. */
const piece = (fd: number, roomBytes: number): ReadonlyArray<Told> => {
  const room = Buffer.alloc(roomBytes)
  const lengthBytes = Number(getdents(fd, room, roomBytes))
  if (lengthBytes < 0) throw new Error(`getdents: ${koffi.errno()}`)
  const entries: Array<Told> = []
  for (let at = 0; at < lengthBytes; at += room.readUInt16LE(at + 16)) {
    const end = room.indexOf(0, at + 19)
    entries.push({ name: room.toString("latin1", at + 19, end), cookie: room.readBigInt64LE(at + 8) })
  }
  return entries
}

const begin = 0n

/** Reads a directory to its end, then from places in it that were told meanwhile. */
const listOne = (): Outcome => {
  const { original, shown } = oneOf(directories)
  const fd = fs.openSync(shown, "r")
  try {
    const all: Array<Told> = []
    const roomBytes = 300 + below(3000)
    for (let part = piece(fd, roomBytes); part.length > 0; part = piece(fd, roomBytes)) all.push(...part)
    const names = all.map(({ name }) => name)
    const expected = [".", "..", ...fs.readdirSync(original, "latin1")]
    const whole: Outcome = [{ list: shown, roomBytes }, expected.toSorted(), names.toSorted()]
    if (!isDeepStrictEqual(whole[1], whole[2])) return whole
    for (let again = 0; again < 4; again++) {
      const from = below(all.length + 1)
      const cookie = from === 0 ? begin : (all[from - 1]?.cookie ?? begin)
      lseek(fd, cookie, 0)
      const found = piece(fd, 300 + below(1000)).map(({ name }) => name)
      const next = names.slice(from, from + Math.max(1, found.length))
      if (!isDeepStrictEqual(found, next)) return [{ seekdir: shown, from }, next, found]
    }
    return whole
  } finally {
    fs.closeSync(fd)
  }
}

const look = async (): Promise<ReadonlyArray<Outcome>> => {
  const kind = random()
  if (kind < 0.5) return [await readOne()]
  if (kind < 0.55) return readSeveral()
  if (kind < 0.65) return [seekOne()]
  if (kind < 0.8) return [statOne()]
  if (kind < 0.87) return [linkOne()]
  if (kind < 0.9) return [missingOne()]
  return [listOne()]
}

const shownOf = (value: unknown): string =>
  value instanceof Uint8Array ? `${value.length} bytes` : inspect(value)

for (let step = 0; step < Number(count); step++) {
  for (const [what, expected, found] of await look()) {
    if (isDeepStrictEqual(expected, found)) continue
    const words = [JSON.stringify(what), `expected ${shownOf(expected)}`, `found ${shownOf(found)}`]
    console.log(`seed ${seed}, step ${step}: ${words.join(", ")}`)
    process.exit(1)
  }
}
for (const file of open) await close(file)
console.log("same")
