/**
 * SnapshotArgument: how users name a snapshot: `host/laptop/2026-11-21T10:00:00Z`, or the newest finished one
 * of a group as `host/laptop/latest` or just `host/laptop`.
 */
import * as Argument from "effect/cli/Argument"
import * as Effect from "effect/Effect"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as Listing from "../restore/Listing.ts"
import * as SnapshotReader from "../restore/SnapshotReader.ts"
import { parseInput } from "./Failure.ts"
import { cryptConfig } from "./Keys.ts"
import { namespace } from "./Repository.ts"

/** A snapshot as typed, before the datastore was asked. */
export type Named =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot.Snapshot }
  | { readonly kind: "latest"; readonly group: BackupGroup.BackupGroup }
  | { readonly kind: "group"; readonly group: BackupGroup.BackupGroup }

const hint = "write TYPE/ID/TIME, TYPE/ID/latest or TYPE/ID, such as host/laptop/latest"

export const argument = (name: string) =>
  Argument.String(name).pipe(
    Argument.withDescription("TYPE/ID/TIME; TYPE/ID or TYPE/ID/latest for the newest one"),
    Argument.withMetavar("SNAPSHOT")
  )

export const parse = (text: string) =>
  parseInput((): Named => {
    const trimmed = text.replace(/\/+$/, "")
    if (trimmed.endsWith("/latest") && trimmed.split("/").length === 3) {
      return { kind: "latest", group: BackupGroup.parse(trimmed.slice(0, -"/latest".length)) }
    }
    return trimmed.split("/").length === 2
      ? { kind: "group", group: BackupGroup.parse(trimmed) }
      : { kind: "snapshot", snapshot: Snapshot.parse(trimmed) }
  }, hint)

/** The snapshot that is meant, whether it exists or not. */
export const locate = (ns: Namespace, named: Named) =>
  named.kind === "snapshot" ? Effect.succeed(named.snapshot) : Listing.latest(ns, named.group)

/** Parses the text and finds the snapshot that is meant. */
export const resolveSnapshot = (ns: Namespace, text: string) =>
  Effect.flatMap(parse(text), (named) => locate(ns, named))

/** The same in the namespace that the flags name. */
export const resolve = (text: string) =>
  Effect.gen(function* () {
    const ns = yield* namespace
    return { namespace: ns, snapshot: yield* resolveSnapshot(ns, text) }
  })

/** Opens the snapshot that is meant for reading, with the key that the flags name. */
export const open = (text: string) =>
  Effect.gen(function* () {
    const crypt = yield* cryptConfig
    const place = yield* resolve(text)
    return yield* SnapshotReader.open({ ...place, ...(crypt === undefined ? {} : { crypt }) })
  })
