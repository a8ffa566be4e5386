/**
 * Restores an archive in a process of its own, which may belong to somebody else or live on another file
 * system: node restoreChild.ts ARCHIVE TARGET [UID]. Prints what came of it as JSON.
 */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { restoring, textOf } from "./support.ts"

const [archivePath = "", target = "", uid] = process.argv.slice(2)
const bytes = { archive: readFileSync(archivePath), payload: undefined }
if (uid !== undefined) {
  process.setgroups?.([])
  process.setgid?.(Number(uid))
  process.setuid?.(Number(uid))
}
const outcome = await Effect.runPromise(
  restoring(bytes, target).pipe(
    Effect.match({
      onFailure: ({ hint, message, reason }) => ({ error: { reason, message, hint } }),
      onSuccess: ({ summary, warnings }) => ({
        refusals: summary.refusals.map(({ count, firstCode, kind }) => ({ kind, count, firstCode })),
        files: summary.files,
        warnings: warnings.map(({ kind, message, path }) => ({ kind, path: textOf(path), message }))
      })
    })
  )
)
console.log(JSON.stringify(outcome))
