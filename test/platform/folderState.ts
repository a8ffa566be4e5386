/** What a folder holds, with times, to prove that nothing in it was changed. Quick, for datastores have many folders. */
import { spawnSync } from "node:child_process"

/** A line for each name: no change of a file, of a folder or of their times goes by unseen. Reading is no change. */
export const stateOf = (folder: string): ReadonlySet<string> => {
  const format = "%y %P %s %m %T@ %C@\\n"
  const { status, stdout, stderr } = spawnSync("find", [folder, "-printf", format], { maxBuffer: 2 ** 28 })
  if (status !== 0) throw new Error(`find ${folder}: ${stderr.toString()}`)
  return new Set(stdout.toString().trim().split("\n"))
}

/** What is there now and was not, and the other way round. */
export const changesSince = (folder: string, before: ReadonlySet<string>): ReadonlyArray<string> => {
  const now = stateOf(folder)
  return [...[...now].filter((line) => !before.has(line)), ...[...before].filter((line) => !now.has(line))]
}
