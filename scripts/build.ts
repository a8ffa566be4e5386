/** Builds `dist` from nothing: JavaScript, types and source maps of everything in `src`, the worker thread included. */
import { chmodSync, rmSync } from "node:fs"
import * as path from "node:path"
import { root, runCommand } from "./runCommand.ts"

rmSync(path.join(root, "dist"), { recursive: true, force: true })
runCommand("tsc", ["--project", "tsconfig.build.json"])
chmodSync(path.join(root, "dist/cli/bin.js"), 0o755)
