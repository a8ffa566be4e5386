/**
 * GcRules: what keeps garbage collection safe, each rule by a name. All of them hold, always.
 *
 * They are here as a value for one purpose: the laboratory switches them off one at a time and must then find a
 * schedule of events that loses data. A rule whose absence harms nothing would be superstition. No option of the
 * program and no function of the library changes them.
 */
import * as Context from "effect/Context"

export interface GcRules {
  /** A group is listed again until a whole listing brings nothing that has not been marked. */
  readonly relistsChangedGroups: boolean
  /** Groups that were moved during the walk are looked at in their new place. */
  readonly drainsMoves: boolean
  /** Nothing is removed that is younger than the oldest writer at work. */
  readonly respectsWriters: boolean
  /** What writers at work build on is marked, even if it is removed behind their backs. */
  readonly marksWriterBases: boolean
  /** Index files outside of the expected folders are marked. */
  readonly marksStrayIndexes: boolean
  /** With a damaged index in the store nothing is swept, for nobody knows what it needs. */
  readonly refusesDamagedIndexes: boolean
  /** What is about to go is looked at once more under its guard. */
  readonly rechecksUnderGuard: boolean
  /** One file that cannot be removed does not stop the collection. */
  readonly countsErrors: boolean
  /** In a bucket: while other hosts write, nothing is collected, and they do not begin. */
  readonly excludesForeignWriters: boolean
  /** In a bucket: indexes that the cache folder lacks are read from the bucket and marked. */
  readonly marksForeignIndexes: boolean
  /** In a bucket: an object that was put after the cutoff stays, whatever the cache folder says. */
  readonly respectsLastModified: boolean
  /** In a bucket: the server's times are taken for what they are by our own clock. */
  readonly correctsSkew: boolean
  /** In a bucket: other hosts are told before anything is deleted that their markers are not to be relied on. */
  readonly replacesGeneration: boolean
  /** In a bucket: the guards are held until the server has answered what became of the objects. */
  readonly holdsGuardsWhileDeleting: boolean
  /** In a bucket: a marker goes before its object. */
  readonly forgetsBeforeDeleting: boolean
}

export const allRules: GcRules = {
  relistsChangedGroups: true,
  drainsMoves: true,
  respectsWriters: true,
  marksWriterBases: true,
  marksStrayIndexes: true,
  refusesDamagedIndexes: true,
  rechecksUnderGuard: true,
  countsErrors: true,
  excludesForeignWriters: true,
  marksForeignIndexes: true,
  respectsLastModified: true,
  correctsSkew: true,
  replacesGeneration: true,
  holdsGuardsWhileDeleting: true,
  forgetsBeforeDeleting: true
}

export const GcRules = Context.Reference<GcRules>("granary/gc/GcRules", { defaultValue: () => allRules })
