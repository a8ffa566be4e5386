/** Where the program lies that the tests start (see `program`). */
import * as path from "node:path"

/** As deep below the repository as the published one, which looks for package.json two folders above itself. */
export const programFolder = path.resolve(import.meta.dirname, "../../build/program")

export const program = path.join(programFolder, "bin.js")
