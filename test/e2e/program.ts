/**
 * Makes the program that the tests start: bundled from the sources, as it is published. Hundreds of tests start it, and
 * a bundle starts about five times as fast as the sources do. Made once for a run of the tests, before the first of
 * them.
 */
import { bundle } from "../../scripts/bundle.ts"
import { programFolder } from "./programPath.ts"

export default (): Promise<void> => bundle(programFolder)
