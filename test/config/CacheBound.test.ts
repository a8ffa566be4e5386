/** How much a cache folder may keep. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import * as path from "node:path"
import * as CacheBound from "../../src/config/CacheBound.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { scratchFolder } from "../platform/scratch.ts"

describe("CacheBound", () => {
  it.live("is what was written, and nothing where nobody wrote", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      assert.isUndefined(yield* CacheBound.read(folder))
      yield* CacheBound.write(folder, 10_737_418_240)
      assert.strictEqual(yield* CacheBound.read(folder), 10_737_418_240)
      for (const bad of ["", "lots", "-1", "1e9"]) {
        writeFileSync(path.join(folder, ".granary-cache-max"), bad)
        assert.match((yield* Effect.flip(CacheBound.read(folder))).message, /no number of bytes/)
      }
    }).pipe(Effect.provide(NodeFiles.layer))
  )
})
