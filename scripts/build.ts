/** Builds `dist` from nothing: JavaScript, types and source maps of everything in `src`, and the bundled program. */
import { rmSync } from "node:fs"
import * as path from "node:path"
import { bundle } from "./bundle.ts"
import { root, runCommand } from "./runCommand.ts"

rmSync(path.join(root, "dist"), { recursive: true, force: true })
runCommand("tsc", ["--project", "tsconfig.build.json"])
await bundle(path.join(root, "dist/program"))
