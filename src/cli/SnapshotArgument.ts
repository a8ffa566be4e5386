/**
 * SnapshotArgument: a snapshot as users name it: in full (`host/laptop/2026-11-21T10:00:00Z`), or the latest finished one
 * of a group (`host/laptop/latest`, or just `host/laptop`).
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { storeError } from "../store/StoreError.ts"
import { parseInput } from "./Failure.ts"

const hint =
  "name it like host/laptop/2026-11-21T10:00:00Z, or host/laptop for the latest; list them with: granary snapshots"

const latest = (namespace: Namespace, group: BackupGroup.BackupGroup) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const entries = yield* hierarchy.snapshots(namespace, group)
    const newest = entries.find(({ finished }) => finished)
    if (newest !== undefined) return newest.snapshot
    return yield* storeError(
      "NoSuchSnapshot",
      BackupGroup.format(group),
      "this group has no finished snapshot"
    )
  })

export const resolveSnapshot = (namespace: Namespace, text: string) =>
  Effect.gen(function* () {
    const short = text.endsWith("/latest") ? text.slice(0, -"/latest".length) : text
    if (short.split("/").length === 2) {
      return yield* latest(namespace, yield* parseInput(() => BackupGroup.parse(short), hint))
    }
    return yield* parseInput(() => Snapshot.parse(text), hint)
  })
