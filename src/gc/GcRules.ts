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
}

export const allRules: GcRules = {
  relistsChangedGroups: true,
  drainsMoves: true,
  respectsWriters: true,
  marksWriterBases: true,
  marksStrayIndexes: true,
  refusesDamagedIndexes: true,
  rechecksUnderGuard: true,
  countsErrors: true
}

export const GcRules = Context.Reference<GcRules>("granary/gc/GcRules", { defaultValue: () => allRules })
