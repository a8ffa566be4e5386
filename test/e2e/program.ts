/**
 * Makes the program that the tests start: bundled from the sources, as it is published. Hundreds of tests start it, and a
 * bundle starts three times as fast as the sources do. Made once for a run of the tests, before the first of them.
 */
import * as path from "node:path"
import { bundle } from "../../scripts/bundle.ts"
import { root } from "../../scripts/runCommand.ts"

/** As deep below the repository as the published one, which looks for package.json two folders above itself. */
export const programFolder = path.join(root, "build/program")

export default (): Promise<void> => bundle(programFolder)
