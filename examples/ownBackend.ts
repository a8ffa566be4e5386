/**
 * A storage of one's own put through the races of garbage collection. This one remembers what a listing told of each
 * file, as network file systems do, and forgets that when it changes the file itself. It does not hear of changes by
 * other processes. The laboratory finds the order of events in which that loses a backup; without the memory none does.
 */
import { Effect, Layer } from "effect"
import { Files, type FileStat } from "granary/platform/Files"
import { Explore, MemoryDisk, MemoryFiles, StoreScenarios } from "granary/testing"

/** Files that remember. Each process has a memory of its own, for each builds this layer anew. */
const remembering = Layer.effect(
  Files,
  Effect.gen(function* () {
    const files = yield* Files
    const known = new Map<string, FileStat>()
    const learn = (path: string) => Effect.map(files.stat(path), (stat) => void known.set(path, stat))
    const changing = <A, E>(path: string, change: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        known.delete(path)
        return change
      })
    return {
      ...files,
      statDirectory: (path) =>
        Effect.tap(files.statDirectory(path), (children) =>
          Effect.forEach(children, ({ name }) => Effect.ignore(learn(`${path}/${name}`)))
        ),
      stat: (path) =>
        Effect.suspend(() => Effect.fromNullishOr(known.get(path))).pipe(
          Effect.catch(() => files.stat(path))
        ),
      touch: (path) => changing(path, files.touch(path)),
      unlink: (path) => changing(path, files.unlink(path)),
      rename: (from, to) => changing(from, changing(to, files.rename(from, to)))
    }
  })
)

/** A new world for each run: one disk, and on it the files of as many processes as the scenario has. */
const backend = (kind: "remembering" | "plain") => () => {
  const files = MemoryFiles.layer(new MemoryDisk())
  return { files: () => (kind === "plain" ? files : Layer.provide(remembering, files)) }
}

const explore = (kind: "remembering" | "plain") =>
  Explore.exhaustive(StoreScenarios.reusedChunk(backend(kind)), { preemptions: 1 })

const faulty = explore("remembering")
console.log(`With a memory, ${Explore.render(faulty)}\n`)
if (faulty.failure === undefined) throw new Error("the fault was not found")
console.log(`Without it, ${Explore.render(Explore.assertHolds(explore("plain")))}`)
