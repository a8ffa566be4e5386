/**
 * Writes `src/index.ts`: every module that package.json exports, under the name of its file. `npm run build:barrel`
 * runs it after a module was added; one that is to stay internal gets a `null` among the exports first.
 */
import { readdirSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { root } from "./runCommand.ts"

const { exports }: { readonly exports: Readonly<Record<string, object | string | null>> } = createRequire(
  import.meta.url
)("../package.json")

const header = `/**
 * Granary as one import: every module under its own name. Programs that want to start fast import the modules
 * themselves, \`granary/backup/Backup\` for example; what is not listed here is internal.
 */
`

const covers = (subpath: string, module: string): boolean =>
  subpath.endsWith("/*") ? module.startsWith(subpath.slice(0, -1)) : module === subpath

const isPublic = (module: string): boolean => {
  const matching = Object.entries(exports).filter(([subpath]) => covers(subpath, module))
  return matching.length > 0 && matching.every(([, target]) => target !== null)
}

const lineOf = (module: string): string => {
  const name = path.basename(module)
  return `export * as ${module.startsWith("./format/pxar/") ? `Pxar${name}` : name} from "${module}.ts"\n`
}

/** In the order of the exports, which is that of the layers. */
const folders = Object.keys(exports).flatMap((subpath) => {
  const folder = subpath.slice("./".length, -"/*".length)
  return subpath.endsWith("/*") && exports[subpath] !== null ? [folder] : []
})

const modules = folders.flatMap((folder) =>
  readdirSync(path.join(root, "src", folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `./${folder}/${file.slice(0, -".ts".length)}`)
    .toSorted()
)

writeFileSync(path.join(root, "src/index.ts"), header + modules.filter(isPublic).map(lineOf).join(""))
