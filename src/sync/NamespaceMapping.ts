/**
 * NamespaceMapping: which namespace of the target a namespace of the source becomes: its path below the one anchor is
 * put below the other.
 *
 * Invariants: different namespaces stay different, and parents come before their children. A mapping that would lead
 * deeper than a datastore may go is refused as a whole, before anything is done.
 */
import * as Effect from "effect/Effect"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import { type SyncError, syncError } from "./SyncError.ts"

export interface NamespacePair {
  readonly source: Namespace.Namespace
  readonly target: Namespace.Namespace
}

export interface Anchors {
  readonly sourceNamespace: Namespace.Namespace
  readonly targetNamespace: Namespace.Namespace
  readonly maxDepth: number | undefined
}

const nameOf = (namespace: Namespace.Namespace): string =>
  namespace === Namespace.root ? "the root" : namespace

/** Of what can be said before anybody has looked. */
export const checkAnchors = ({
  maxDepth,
  sourceNamespace,
  targetNamespace
}: Anchors): Effect.Effect<void, SyncError> => {
  const tooDeep = [sourceNamespace, targetNamespace].find(
    (anchor) => Namespace.depth(anchor) + (maxDepth ?? 0) > Namespace.depthMax
  )
  if (tooDeep === undefined) return Effect.void
  const detail = `max-depth ${maxDepth} below ${nameOf(tooDeep)} is deeper than ${Namespace.depthMax} namespaces`
  return Effect.fail(syncError("Refused", detail))
}

const mapOne = (
  { sourceNamespace, targetNamespace }: Anchors,
  source: Namespace.Namespace
): Effect.Effect<NamespacePair, SyncError> =>
  Effect.suspend(() => {
    const below = Namespace.components(source).slice(Namespace.depth(sourceNamespace))
    try {
      const target = Namespace.parse([...Namespace.components(targetNamespace), ...below].join("/"))
      return Effect.succeed({ source, target })
    } catch (error) {
      if (!(error instanceof InvalidName)) return Effect.die(error)
      const detail = `namespace ${nameOf(source)} cannot be put below ${nameOf(targetNamespace)}: ${error.message}`
      return Effect.fail(syncError("Refused", detail))
    }
  })

/** The pairs for these namespaces, all of which are at or below the source's anchor. */
export const map = (
  anchors: Anchors,
  sources: ReadonlyArray<Namespace.Namespace>
): Effect.Effect<ReadonlyArray<NamespacePair>, SyncError> =>
  Effect.forEach(
    sources.toSorted((left, right) => left.length - right.length || (left < right ? -1 : 1)),
    (source) => mapOne(anchors, source)
  )

/** Namespaces of the target that no pair leads to, the deepest first; never the anchor itself. */
export const vanished = (
  pairs: ReadonlyArray<NamespacePair>,
  targets: ReadonlyArray<Namespace.Namespace>,
  anchor: Namespace.Namespace
): ReadonlyArray<Namespace.Namespace> => {
  const mapped = new Set(pairs.map(({ target }) => target))
  return targets
    .filter((target) => target !== anchor && Namespace.isWithin(target, anchor) && !mapped.has(target))
    .toSorted((left, right) => Namespace.depth(right) - Namespace.depth(left) || (left < right ? -1 : 1))
}
