/** toVfsError: what the layers below say, in the words of the tree. */
import * as Effect from "effect/Effect"
import type { FormatError } from "../../format/FormatError.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import type { ChunkError } from "../../platform/ChunkCodec.ts"
import type { FilesError } from "../../platform/Files.ts"
import { StoreError, type StoreReason } from "../../store/StoreError.ts"
import { VfsError, vfsError, type VfsReason } from "../VfsError.ts"

export type LowerError = ChunkError | FilesError | FormatError | ObjectStoreError | StoreError | VfsError

const storeReasons: Partial<Record<StoreReason, VfsReason>> = {
  NoSuchNamespace: "Gone",
  NoSuchGroup: "Gone",
  NoSuchSnapshot: "Gone",
  // Its manifest is taken away first.
  Unfinished: "Gone",
  NoSuchArchive: "Damaged",
  Damaged: "Damaged",
  KeyNeeded: "KeyNeeded"
}

const reasonOf = (error: Exclude<LowerError, VfsError>): VfsReason => {
  switch (error._tag) {
    case "FormatError":
      return "Damaged"
    case "ChunkError":
      return error.reason === "KeyNeeded" ? "KeyNeeded" : "Damaged"
    case "StoreError":
      return storeReasons[error.reason] ?? "Unreachable"
    case "FilesError":
      return error.reason === "TooLarge" ? "Damaged" : "Unreachable"
    case "ObjectStoreError":
      return "Unreachable"
  }
}

export const toVfsError = (subject: string, error: LowerError): VfsError => {
  if (error instanceof VfsError) return error
  // Errors of stores name their subject themselves.
  if (error instanceof StoreError) return vfsError(reasonOf(error), error.subject, error.detail)
  return vfsError(reasonOf(error), subject, error.message)
}

/** Tells every failure as one of `subject`. */
export const inWordsOf =
  (subject: string) =>
  <A, E extends LowerError, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, VfsError, R> =>
    Effect.mapError(effect, (error) => toVfsError(subject, error))
