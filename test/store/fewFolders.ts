/**
 * Datastores that the tests of a file make in their own process have none of the 65,536 chunk folders from the start:
 * each comes with its first chunk, as on a store that has lost some. Making them all, listing them and removing them
 * takes two seconds of a processor for each store.
 *
 * Import it for its effect, before anything that loads `src`. Programs that a test starts are not affected.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { vi } from "vitest"
import { Files } from "../../src/platform/Files.ts"

const isChunkFolder = (name: string): boolean => /^[0-9a-f]{4}$/.test(name)

vi.mock(import("../../src/platform/NodeFiles.ts"), async (load) => {
  const original = await load()
  const few = Effect.map(Files, (files) => ({
    ...files,
    makeDirectories: (parent: string, names: ReadonlyArray<string>, mode: number) =>
      files.makeDirectories(
        parent,
        names.filter((name) => !isChunkFolder(name)),
        mode
      )
  }))
  return { ...original, layer: Layer.effect(Files, few).pipe(Layer.provide(original.layer)) }
})
