/** What the parts of the conformance suite of Files share: the subject under test, and how a test is told of it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Files, FilesError, FilesReason } from "../../src/platform/Files.ts"

export interface FilesSubject {
  /** An empty folder. */
  readonly folder: Effect.Effect<string, never, Files | Scope.Scope>
  readonly makeSymlink?: (target: string, path: string) => Effect.Effect<void>
  readonly makeFifo?: (path: string) => Effect.Effect<void>
  /** Sets access and modification time to whole seconds. */
  readonly setTimes?: (path: string, seconds: number) => Effect.Effect<void>
  /** A file of that size, whatever it holds. */
  readonly makeLarge?: (path: string, sizeBytes: number) => Effect.Effect<void>
  /** A power loss at its worst: what was not flushed is gone. */
  readonly losePower?: Effect.Effect<void>
}

export const text = (content: string): Uint8Array => Buffer.from(content)

/** The reason an operation fails for; success is a failure of the test. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, FilesError, R>): Effect.Effect<FilesReason, A, R> =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export type Run = (
  name: string,
  test: (files: Files["Service"], folder: string) => Effect.Effect<void, unknown, Scope.Scope>
) => void
