/**
 * R13: a file that a reader is about to read, or has open, is rewritten in place. Here nothing ever is: a manifest that
 * gets a new note, or a chunk of which a smaller copy comes, is replaced by a whole new file under the old name.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../../src/format/DataBlob.ts"
import { Datastore } from "../../../src/datastore/Datastore.ts"
import { backUp, restore, snapshotAt, verify } from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { digestOfText, prepare, timeBefore } from "../harness/World.ts"

/** Empties a file that is there and writes into it, instead of replacing it. */
export const inPlace: Mutation = {
  files: (files, { disk, point }) => {
    const rewrite = (target: string, content: Uint8Array) =>
      Effect.gen(function* () {
        yield* point(`truncate ${target}`)
        disk.put(target, new Uint8Array(0))
        yield* point(`write ${target}`)
        disk.put(target, content)
      })
    const isThere = (target: string) => Effect.isSuccess(files.stat(target))
    return {
      ...files,
      replaceFile: (target, parts, options) =>
        Effect.flatMap(isThere(target), (there) =>
          there ? rewrite(target, Buffer.concat([...parts])) : files.replaceFile(target, parts, options)
        ),
      rename: (from, to) =>
        Effect.gen(function* () {
          if (!(yield* isThere(to))) return yield* files.rename(from, to)
          yield* rewrite(to, yield* files.readFile(from, Number.MAX_SAFE_INTEGER))
          yield* files.unlink(from)
        })
    }
  }
}

const content = "the same again and again, ".repeat(100)

/** A smaller encoding of a chunk that is there, as another server's sync would bring it. */
const insertSmaller = Effect.flatMap(Datastore, ({ chunks }) =>
  chunks.insertEncoded(digestOfText(content), DataBlob.encode(Buffer.from(content), { compress: true }))
)

const read: Case = {
  name: "a snapshot is restored while its manifest gets a note and its chunk a smaller copy",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: [content],
      setUp: backUp(undefined, { time: timeBefore(0), contents: [content] })
    }),
    program: (world) =>
      together(
        world.process("reader")(restore(snapshotAt(timeBefore(0)), content)),
        world.process("verify")(verify()),
        world.process("writer")(insertSmaller)
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "replacing whole files (manifests)",
      mutation: { ...inPlace, processes: ["verify"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    },
    {
      guard: "replacing whole files (chunks)",
      mutation: { ...inPlace, processes: ["writer"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R13: Row = { id: "R13", title: "files are replaced, never rewritten in place", cases: [read] }
