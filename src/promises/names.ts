/** Names as strings on their way into the library: checked, and an `InvalidName` when they break the rules. */
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as Listing from "../restore/Listing.ts"

/** Runs a parser of `model`. */
export const parsed = <A>(parse: () => A): Effect.Effect<A, InvalidName> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      return error instanceof InvalidName ? Effect.fail(error) : Effect.die(error)
    }
  })

/** `host/laptop` as opposed to `host/laptop/2026-11-21T10:00:00Z`. */
export const isGroup = (text: string): boolean => text.split("/").length <= 2

/** A snapshot in full, or the newest finished one of a group. */
export const resolveSnapshot = (
  namespace: Namespace,
  text: string
): Effect.Effect<Snapshot.Snapshot, InvalidName | Listing.ListingError, Datastore> =>
  isGroup(text)
    ? Effect.flatMap(
        parsed(() => BackupGroup.parse(text)),
        (group) => Listing.latest(namespace, group)
      )
    : parsed(() => Snapshot.parse(text))
