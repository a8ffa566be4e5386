/**
 * What the conformance suite of ObjectStore runs on, and the words its tests share. The suite is in
 * `objectStoreSuite`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreReason } from "../../src/objectstore/ObjectStoreError.ts"

export type Store = ObjectStore["Service"]

export interface ObjectStoreScene {
  readonly store: Store
  /** A part of the bucket that is empty. */
  readonly prefix: ObjectKey.KeyPrefix
  /** The same bucket over another connection. */
  readonly other?: Store
  /** Puts an object under a name that breaks our rules. */
  readonly putForeign?: (key: string) => Effect.Effect<void>
}

export interface ObjectStoreSubject {
  readonly scene: Effect.Effect<ObjectStoreScene, never, Scope.Scope>
  /** A store whose bucket is not there. */
  readonly missingBucket?: Effect.Effect<Store, never, Scope.Scope>
  readonly has?: {
    readonly other?: boolean
    readonly putForeign?: boolean
    /** Whether listings tell etags. Default true. */
    readonly listedEtags?: boolean
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text)

export const maxBytes = 64 * 1024 * 1024

export const readText = (store: Store, key: ObjectKey.ObjectKey): Effect.Effect<string, ObjectStoreError> =>
  Effect.map(store.get(key, maxBytes), (body) => Buffer.from(body).toString())

/** The reason an operation fails for; success is a failure of the test. */
export const reasonOf = <A, R>(
  effect: Effect.Effect<A, ObjectStoreError, R>
): Effect.Effect<ObjectStoreReason, A, R> => Effect.map(Effect.flip(effect), ({ reason }) => reason)

export type Test = (
  scene: ObjectStoreScene & { readonly at: (name: string) => ObjectKey.ObjectKey }
) => Effect.Effect<void, unknown, Scope.Scope>
export type Run = (title: string, test: Test, isGiven?: boolean) => void

/** In the order of their bytes: a slash comes after `-` and `.`, and characters beyond U+FFFF come last. */
export const nastyNames: ReadonlyArray<string> = [
  "a",
  "a b",
  "a+b%20c",
  "a-b",
  "a.content",
  "a.folder/x",
  "a.object",
  "a/b",
  "a/b/c",
  "a/b.object/c",
  "ab",
  `long/${"s".repeat(255)}`,
  `long/${"s".repeat(255)}/${"t".repeat(255)}`,
  "é/ü",
  "\uFFFD",
  "\u{1F600}"
].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
