/** creationProgress: shows how far the making of a datastore's chunk folders is. */
import * as Effect from "effect/Effect"
import { Progress } from "../platform/Progress.ts"

export const creationProgress = (folder: string) =>
  Effect.map(Progress, (reporter) => {
    const report = (state: "started" | "running" | "ended", done: number, total: number | undefined): void =>
      reporter({
        type: "progress",
        task: "create",
        subject: folder,
        state,
        unit: "folders",
        done,
        total,
        counts: {}
      })
    report("started", 0, undefined)
    return ({ done, total }: { readonly done: number; readonly total: number }) =>
      Effect.sync(() => report(done === total ? "ended" : "running", done, total))
  })
