/** R29Mutations: guards against death that are switched off: what is flushed, and in which order things come and go. */
import * as Effect from "effect/Effect"
import { fromErrno } from "../../../src/platform/Files.ts"
import * as Writers from "../../../src/store/Writers.ts"
import type { Mutation } from "../harness/Mutation.ts"

/** Files whose paths end so are replaced without a flush. */
export const unflushed = (end: string): Mutation => ({
  files: (files) => ({
    ...files,
    replaceFile: (target, parts, options) =>
      files.replaceFile(target, parts, target.endsWith(end) ? {} : options)
  })
})

/** Nothing is flushed before the manifest. */
export const unflushedStore: Mutation = { datastore: (store) => ({ ...store, flush: Effect.void }) }

/** Names of new folders are not flushed. */
export const unflushedFolders: Mutation = {
  files: (files) => ({ ...files, syncDirectory: () => Effect.void })
}

const withWriters = (
  change: (writers: Writers.Writers["Service"]) => Writers.Writers["Service"]
): Mutation => ({
  around: (work) =>
    Effect.provideService(work, Writers.Maker, (layout, locks, options) =>
      Effect.map(Writers.make(layout, locks, options), change)
    )
})

/** Nobody asks what a power loss may have torn. */
export const withoutDoubts: Mutation = withWriters((writers) => ({ ...writers, doubts: Effect.succeed([]) }))

/** Leases go with the power. */
export const unflushedLeases: Mutation = {
  around: (work) => Effect.provideService(work, Writers.Maker, (layout, locks) => Writers.make(layout, locks))
}

/** A chunk is written under its own name, in two parts, instead of being renamed when it is whole. */
export const unatomicChunks: Mutation = {
  files: (files, { disk, point }) => ({
    ...files,
    rename: (from, to) => {
      if (!from.includes("/.chunks/") || !from.includes(".tmp_")) return files.rename(from, to)
      const half = <A>(run: (nowMillis: number) => A) =>
        Effect.clockWith((clock) =>
          Effect.try({
            try: () => run(clock.currentTimeMillisUnsafe()),
            catch: (error) => fromErrno("rename", to, error)
          })
        )
      return Effect.gen(function* () {
        const { content } = disk.stat(from)
        const middle = content.length - 1
        const number = yield* half((now) => {
          const created = disk.create(to, 0o644, now)
          disk.append(created, content.subarray(0, middle), now)
          return created
        })
        yield* point("write the rest of the chunk")
        yield* half((now) => {
          disk.append(number, content.subarray(middle), now)
          disk.unlink(from, now)
        })
      })
    }
  })
}

const manifestEnd = "/index.json.blob"

/** The manifest of a snapshot is the last of its files to go, not the first. */
export const unorderedRemoval: Mutation = {
  files: (files, { disk }) => ({
    ...files,
    unlink: (target) => {
      const isFirst =
        target.endsWith(manifestEnd) && disk.list(target.slice(0, -manifestEnd.length), 0).length > 1
      return isFirst ? Effect.void : files.unlink(target)
    }
  })
}
