/** Runs every program in `examples` from source, one after the other; the first one that fails ends it. */
import { readdirSync } from "node:fs"
import * as path from "node:path"
import { quickTemporaryFolder, root, runCommand } from "./runCommand.ts"

const examples = readdirSync(path.join(root, "examples")).filter((name) => name.endsWith(".ts"))
if (examples.length === 0) throw new Error("there are no examples")

for (const example of examples.toSorted()) {
  console.log(`\n--- examples/${example}`)
  runCommand("node", ["--conditions=development", path.join("examples", example)], {
    environment: { TMPDIR: quickTemporaryFolder }
  })
}
console.log(`\n${examples.length} examples ran`)
