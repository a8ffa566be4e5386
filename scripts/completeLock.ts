/**
 * Completes package-lock.json. Packages with native code come as one optional package for each platform. npm leaves
 * out of the lock file those that the registry at hand does not serve, and `npm ci` then refuses the file, on every
 * platform. What such an entry has to say (version, system, processor) follows from the package that wants it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { root } from "./runCommand.ts"

interface Entry {
  readonly version?: string
  readonly dev?: true
  readonly optional?: true
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Readonly<Record<string, Entry>>
}

const systems = "aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32"
const processors = "arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64"
const pattern = new RegExp(`[-/](${systems})-(${processors})(?:-(\\w+))?$`)

const libcOf = (abi: string | undefined): ReadonlyArray<string> => {
  if (abi?.startsWith("gnu")) return ["glibc"]
  return abi?.startsWith("musl") ? ["musl"] : []
}

const entryOf = (name: string, version: string, wantedBy: Entry): Entry => {
  const [, system, processor, abi] = pattern.exec(name) ?? []
  if (system === undefined || processor === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
    throw new Error(`${name}@${version}: cannot tell which platform it is for`)
  }
  const libc = libcOf(abi)
  return {
    version,
    cpu: [processor],
    ...(wantedBy.dev === undefined ? {} : { dev: true }),
    ...(libc.length === 0 ? {} : { libc }),
    optional: true,
    os: [system]
  }
}

/** Looks a package up from a folder as Node does: in its own `node_modules`, then further out. */
const isLocked = (packages: Lock["packages"], location: string, name: string): boolean => {
  for (let folder = location; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (packages[`${folder}/node_modules/${name}`.replace(/^\//, "")] !== undefined) return true
    if (folder === "") return false
  }
}

const file = path.join(root, "package-lock.json")
const lock: Lock = JSON.parse(readFileSync(file, "utf8"))

const added = Object.entries(lock.packages).flatMap(([location, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isLocked(lock.packages, location, name))
    .map(([name, version]) => [`node_modules/${name}`, entryOf(name, version, entry)] as const)
)

if (added.length > 0) {
  const packages = [...Object.entries(lock.packages), ...added]
  const sorted = packages.toSorted(([left], [right]) => left.localeCompare(right, "en"))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
}
console.log(`package-lock.json: ${added.length} packages added`)
