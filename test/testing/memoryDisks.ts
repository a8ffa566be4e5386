/** Every outcome of a power loss, and a disk as text to compare outcomes by. */
import type { Choose, MemoryDisk } from "../../src/testing/MemoryDisk.ts"

/** Every file and folder with its content, as one line each. */
export const contentsOf = (disk: MemoryDisk, path = ""): ReadonlyArray<string> =>
  disk
    .list(path === "" ? "/" : path, 0)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([name, inode]) =>
      inode.kind === "directory"
        ? [`${path}/${name}/`, ...contentsOf(disk, `${path}/${name}`)]
        : [`${path}/${name}=${Buffer.from(inode.content).toString().replaceAll("\0", "0")}`]
    )

/** The list after `choices`, given how many outcomes each decision had; undefined after the last one. */
const following = (
  choices: ReadonlyArray<number>,
  counts: ReadonlyArray<number>
): ReadonlyArray<number> | undefined => {
  const last = choices.findLastIndex((choice, index) => choice + 1 < counts[index]!)
  return last === -1 ? undefined : [...choices.slice(0, last), choices[last]! + 1]
}

/** All that can be found after a power loss on such a disk, each once, sorted. */
export const everyOutcome = (disk: MemoryDisk, runsMax = 10_000): ReadonlyArray<string> => {
  const found = new Set<string>()
  let choices: ReadonlyArray<number> | undefined = []
  for (let run = 0; choices !== undefined; run++) {
    if (run === runsMax) throw new Error(`more than ${runsMax} outcomes`)
    const made: Array<number> = []
    const counts: Array<number> = []
    const wanted: ReadonlyArray<number> = choices
    const choose: Choose = (count) => {
      const choice = wanted[made.length] ?? 0
      made.push(choice)
      counts.push(count)
      return choice
    }
    const copy = disk.fork()
    copy.losePower(choose)
    found.add(contentsOf(copy).join(" "))
    choices = following(made, counts)
  }
  return [...found].toSorted()
}
