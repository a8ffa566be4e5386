/**
 * SyncEnds: the two stores of a sync, and what must hold of them before anything is done: they are two, and what is in
 * the one fits below the other.
 */
import * as Effect from "effect/Effect"
import * as Namespace from "../model/Namespace.ts"
import * as NamespaceMapping from "./NamespaceMapping.ts"
import type { RecodingWork } from "./RecodingWork.ts"
import type { Retrying } from "./Retries.ts"
import { type SyncError, syncError, within } from "./SyncError.ts"
import * as SyncOptions from "./SyncOptions.ts"
import type { SyncSource } from "./SyncSource.ts"
import type { SyncTarget } from "./SyncTarget.ts"

export interface SyncEnds {
  readonly source: SyncSource["Service"]
  readonly target: SyncTarget["Service"]
  /** Who encrypts and decrypts; the calling thread when absent. */
  readonly recodingWork?: RecodingWork
}

export interface SyncNamespaces {
  /** Parents first. */
  readonly pairs: ReadonlyArray<NamespaceMapping.NamespacePair>
  /** Those of the pairs' targets that are not there yet. */
  readonly newOnes: ReadonlySet<Namespace.Namespace>
  /** Of the target, the deepest first. */
  readonly vanished: ReadonlyArray<Namespace.Namespace>
}

const nameOf = (namespace: Namespace.Namespace): string =>
  namespace === Namespace.root ? "the root" : `namespace ${namespace}`

/** Copying a store into itself would make copies of copies, or remove what it copies from. */
const checkDifferent = (
  { source, target }: SyncEnds,
  { sourceNamespace, targetNamespace }: SyncOptions.CheckedOptions
): Effect.Effect<void, SyncError> => {
  if (!source.identities.some((identity) => target.identities.includes(identity))) return Effect.void
  const overlaps =
    sourceNamespace !== targetNamespace &&
    (Namespace.isWithin(sourceNamespace, targetNamespace) ||
      Namespace.isWithin(targetNamespace, sourceNamespace))
  const more = overlaps ? `; ${nameOf(sourceNamespace)} and ${nameOf(targetNamespace)} overlap, too` : ""
  const titles = source.title === target.title ? source.title : `${source.title}, which is ${target.title}`
  return Effect.fail(syncError("Refused", `source and target are the same datastore, ${titles}${more}`))
}

/** All that can be said before anybody has looked. */
export const check = (
  ends: SyncEnds,
  wanted: SyncOptions.SyncOptions
): Effect.Effect<SyncOptions.CheckedOptions, SyncError> =>
  Effect.gen(function* () {
    const options = yield* SyncOptions.check(wanted)
    yield* checkDifferent(ends, options)
    yield* NamespaceMapping.checkAnchors(options)
    return options
  })

/** The target may lack even the one to begin with. */
const targetNamespaces = (
  { target }: SyncEnds,
  { maxDepth, targetNamespace }: SyncOptions.CheckedOptions,
  retrying: Retrying
) =>
  target.namespaces(targetNamespace, maxDepth).pipe(
    retrying,
    within({ side: "target" }),
    Effect.catchIf(
      ({ reason }) => reason === "Missing",
      () => Effect.succeed<ReadonlyArray<Namespace.Namespace>>([])
    )
  )

export const namespaces = (
  ends: SyncEnds,
  options: SyncOptions.CheckedOptions,
  retrying: Retrying
): Effect.Effect<SyncNamespaces, SyncError> =>
  Effect.gen(function* () {
    const { maxDepth, sourceNamespace, targetNamespace } = options
    const found = yield* ends.source
      .namespaces(sourceNamespace, maxDepth)
      .pipe(retrying, within({ side: "source", namespace: sourceNamespace }))
    const pairs = yield* NamespaceMapping.map(options, found)
    const there = yield* targetNamespaces(ends, options, retrying)
    const known = new Set(there)
    return {
      pairs,
      newOnes: new Set(pairs.map(({ target }) => target).filter((target) => !known.has(target))),
      vanished: NamespaceMapping.vanished(pairs, there, targetNamespace)
    }
  })
