/**
 * Casting: scenarios by chance. A number draws two to four actors that work on one small store at once, each in a process
 * of its own or together with the one before; what they do is left to the schedule.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import { actor } from "../../../src/testing.ts"
import { randomFrom } from "../../../src/testing/Choosers.ts"
import * as actors from "./actors.ts"
import type { Mutation } from "./Mutation.ts"
import { stage, together } from "./stage.ts"
import { prepare, startMillis, timeBefore, type StoreEffect, type World } from "./World.ts"

const other = BackupGroup.make("host", "b")
const archive = actors.plainArchive
const groups = [actors.group, other]
const aa = Namespace.parse("aa")
const news = ["base", "old", "loose", "new", "newer"]

const store = prepare({
  contents: ["other", ...news],
  namespaces: ["aa"],
  setUp: Effect.gen(function* () {
    yield* actors.backUp(undefined, { time: timeBefore(0), contents: ["base", "old"], archive })
    yield* actors.backUp(undefined, { time: timeBefore(1), contents: ["base", "other"], archive })
    yield* actors.backUp(undefined, { time: timeBefore(0), contents: ["old"], group: other, archive })
    yield* actors.insertLoose("loose")
  })
})

const older = { snapshot: actors.snapshotAt(timeBefore(0)), content: "baseold" }
const newer = { snapshot: actors.snapshotAt(timeBefore(1)), content: "baseother" }
const ofOther = { snapshot: actors.snapshotAt(timeBefore(0), other), content: "old" }

interface Part {
  readonly name: string
  readonly work: (world: World) => StoreEffect<unknown, { readonly _tag: string } & Error>
}

type Draw = (count: number) => number

const drawFrom = <A>(draw: Draw, list: readonly [A, ...ReadonlyArray<A>]): A =>
  list[draw(list.length)] ?? list[0]

const backup = (draw: Draw, number: number): Part => {
  const reusePrevious = draw(3) > 0
  const of = groups[draw(2)] ?? other
  const contents = news.filter(() => draw(2) === 0)
  const input = { contents: contents.length === 0 ? ["new"] : contents, group: of, archive, reusePrevious }
  const kind = reusePrevious ? "incremental" : "backup"
  return {
    name: `${kind} of ${of.id}: ${input.contents.join(" ")}`,
    work: (world) => actors.backUp(world, { ...input, time: startMillis / 1000 + number })
  }
}

const kinds: readonly [
  (draw: Draw, number: number) => Part,
  ...ReadonlyArray<(draw: Draw, number: number) => Part>
] = [
  backup,
  backup,
  backup,
  (draw) => {
    const mark = draw(2) === 0 ? "set" : "atime"
    return { name: `gc ${mark}`, work: () => actors.collect({ mark }) }
  },
  () => ({ name: "gc set", work: () => actors.collect() }),
  () => ({ name: "prune", work: (world) => actors.prune(world) }),
  (draw) => {
    const { snapshot } = drawFrom(draw, [older, newer, ofOther])
    return {
      name: `forget ${snapshot.group.id} ${snapshot.directory}`,
      work: (world) => actors.forget(world, snapshot)
    }
  },
  () => ({ name: "verify", work: () => actors.verify() }),
  (draw) => {
    const { snapshot, content } = drawFrom(draw, [older, newer, ofOther])
    return {
      name: `restore ${snapshot.group.id} ${snapshot.directory}`,
      work: () => actors.restore(snapshot, content, { archive })
    }
  },
  (draw) => {
    const { snapshot, content } = drawFrom(draw, [older, newer, ofOther])
    return {
      name: `read mounted ${snapshot.group.id} ${snapshot.directory}`,
      work: () => actors.readMounted(snapshot, content)
    }
  },
  (draw) => {
    const of = groups[draw(2)] ?? other
    const isThere = (error: { readonly _tag: string; readonly reason?: string }) => error.reason === "Refused"
    return {
      name: `move ${of.id}`,
      work: () => Effect.catchIf(actors.move(Namespace.root, aa, of), isThere, () => Effect.void)
    }
  }
]

/** Who is at work, by process. */
const drawParts = (seed: number): ReadonlyArray<ReadonlyArray<Part>> => {
  const random = randomFrom(seed)
  const draw: Draw = (count) => Math.floor(random() * count)
  const processes: Array<Array<Part>> = []
  const count = 2 + draw(3)
  for (let number = 0; number < count; number++) {
    const part = drawFrom(draw, kinds)(draw, number)
    const named = { ...part, name: `${number + 1} ${part.name}` }
    const last = processes.at(-1)
    if (last !== undefined && draw(3) === 0) last.push(named)
    else processes.push([named])
  }
  return processes
}

/** What the number stands for, in words. */
export const describeCast = (seed: number): string =>
  drawParts(seed)
    .map((parts) => parts.map(({ name }) => name).join(" with "))
    .join(" | ")

/** The scenario of a number. */
export const randomScenario = (seed: number, mutation: Mutation) => {
  const processes = drawParts(seed)
  return stage({
    disk: store,
    program: (world) =>
      together(
        ...processes.map((parts, number) =>
          world.process(`p${number + 1}`)(
            together(
              ...parts.map(({ name, work }) => actors.yielding(work(world)).pipe(Effect.scoped, actor(name)))
            )
          )
        )
      )
  })(mutation)
}
