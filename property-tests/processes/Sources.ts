/**
 * Sources: what the stress test backs up: a few groups with small trees and images that change between rounds, and never
 * during one.
 *
 * Contents come from a small pool, shared by all groups: what has gone comes back later, and is in several groups. So
 * backups find chunks in the store that no snapshot needs any more and that a garbage collection is about to remove.
 */
import { createCipheriv, createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Random } from "./Random.ts"

export interface Source {
  /** `host/alpha` */
  readonly group: string
  /** Archives by name, and what is backed up into them. */
  readonly archives: ReadonlyMap<string, string>
  readonly flags: ReadonlyArray<string>
  readonly isEncrypted: boolean
  readonly mutate: (random: Random) => void
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Half of the contents can be compressed, half cannot. */
const content = (name: string, version: number, sizeBytes: number): Uint8Array => {
  const seed = createHash("sha256").update(`${name} ${version}`).digest()
  const cipher = createCipheriv("aes-128-ctr", seed.subarray(0, 16), seed.subarray(16))
  const bytes = cipher.update(new Uint8Array(sizeBytes))
  return version % 2 === 0 ? bytes : bytes.map((byte) => byte & 15)
}

/** Chunks of trees have at least one MiB: every tree has some of them. */
const fileSizes: ReadonlyArray<number> = [
  3 * mebibyte,
  2 * mebibyte,
  1536 * kibibyte,
  1200 * kibibyte,
  2500 * kibibyte,
  1800 * kibibyte,
  1100 * kibibyte,
  700 * kibibyte,
  300 * kibibyte,
  40 * kibibyte,
  5 * kibibyte,
  17
]
const versions = 4
const gone = 0

const writeVersion = (file: string, name: string, version: number, sizeBytes: number): void => {
  if (version === gone) return fs.rmSync(file, { force: true })
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content(name, version, sizeBytes))
}

/** A folder of files, some of them a level down. Its mutation is to write, rewrite and remove some. */
const makeTree = (folder: string) => {
  fs.mkdirSync(folder, { recursive: true })
  const names = fileSizes.map((sizeBytes, index) => ({
    name: index % 3 === 2 ? `inner/file${index}` : `file${index}`,
    sizeBytes
  }))
  for (const { name, sizeBytes } of names) writeVersion(path.join(folder, name), name, 1, sizeBytes)
  return (random: Random): void => {
    for (let count = random.between(0, 5); count > 0; count--) {
      const chosen = random.pick(names) ?? names[0]
      if (chosen === undefined) return
      const { name, sizeBytes } = chosen
      writeVersion(path.join(folder, name), name, random.between(gone, versions), sizeBytes)
    }
  }
}

const blockSizeBytes = 4 * mebibyte

/** An image of some chunks. */
const makeImage = (file: string, blocks: number) => {
  const write = (index: number, version: number): void => {
    const handle = fs.openSync(file, "r+")
    fs.writeSync(handle, content("block", version, blockSizeBytes), 0, blockSizeBytes, index * blockSizeBytes)
    fs.closeSync(handle)
  }
  fs.writeFileSync(file, new Uint8Array(blocks * blockSizeBytes))
  return (random: Random): void => {
    for (let count = random.between(0, 4); count > 0; count--) {
      write(random.between(0, blocks), random.between(1, 2 * versions))
    }
  }
}

const makeConfiguration = (file: string) => {
  fs.writeFileSync(file, "version 0\n")
  return (random: Random): void => fs.writeFileSync(file, `version ${random.between(0, 1000)}\n`)
}

/** Makes the sources of all groups below `base`. */
export const make = (base: string, keyFile: string): ReadonlyArray<Source> => {
  const place = (...names: ReadonlyArray<string>): string => path.join(base, ...names)
  const tree = makeTree(place("alpha"))
  const configuration = makeConfiguration(place("app.conf"))
  return [
    {
      group: "host/alpha",
      archives: new Map([
        ["root.pxar", place("alpha")],
        ["app.conf", place("app.conf")]
      ]),
      flags: [],
      isEncrypted: false,
      mutate: (random) => {
        tree(random)
        configuration(random)
      }
    },
    {
      group: "host/beta",
      archives: new Map([["root.pxar", place("beta")]]),
      flags: ["--change-detection", "metadata"],
      isEncrypted: false,
      mutate: makeTree(place("beta"))
    },
    {
      group: "host/secret",
      archives: new Map([["root.pxar", place("secret")]]),
      flags: ["--change-detection", "data", "--keyfile", keyFile],
      isEncrypted: true,
      mutate: makeTree(place("secret"))
    },
    {
      group: "vm/100",
      archives: new Map([["disk.img", place("disk.img")]]),
      flags: [],
      isEncrypted: false,
      mutate: makeImage(place("disk.img"), 6)
    }
  ]
}

const digestOfFile = (file: string): string =>
  createHash("sha256").update(fs.readFileSync(file)).digest("hex")

const linesOf = (target: string, name: string): ReadonlyArray<string> => {
  const stat = fs.lstatSync(target, { bigint: true })
  const metadata = `${name} ${stat.mode.toString(8)} ${stat.mtimeNs}`
  if (!stat.isDirectory()) return [`${metadata} ${digestOfFile(target)}`]
  const children = fs.readdirSync(target).toSorted()
  return [metadata, ...children.flatMap((child) => linesOf(path.join(target, child), `${name}/${child}`))]
}

/**
 * What must be the same of something that was backed up and of what was restored: of a folder names, modes, times and
 * contents, of a file or image the content.
 */
export const digestOf = (target: string): string =>
  fs.statSync(target).isDirectory()
    ? createHash("sha256").update(linesOf(target, "").join("\n")).digest("hex")
    : digestOfFile(target)

/** Digests of all archives of a source as they are now, by archive name. */
export const contentOf = (source: Source): ReadonlyMap<string, string> =>
  new Map([...source.archives].map(([archive, target]) => [archive, digestOf(target)]))
