/**
 * MountArgument: what users type to say what is mounted: nothing for the whole datastore; a namespace (`ns/team`), a
 * group, a snapshot or an archive, as one path; or a snapshot, an archive and a path in it, as for the other commands.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { VfsRoot } from "../vfs/VfsLayer.ts"
import { parseInput, UsageError } from "./Failure.ts"
import * as PathText from "./PathText.ts"
import { type Named, parse as parseSnapshot } from "./SnapshotArgument.ts"

export interface Wanted {
  readonly namespace: Namespace.Namespace
  /** Undefined for the whole namespace. */
  readonly named: Named | undefined
  readonly archive: string | undefined
  readonly path: Uint8Array | undefined
}

const hint =
  "write ns/NAMESPACE, TYPE/ID, TYPE/ID/TIME, TYPE/ID/TIME/ARCHIVE[/PATH] or SNAPSHOT ARCHIVE [PATH]"

/** Takes `ns/NAME` off the front as often as it is there, as folders in the tree are called. */
const splitNamespace = (base: Namespace.Namespace, parts: ReadonlyArray<string>) => {
  let [namespace, at] = [base, 0]
  for (; parts[at] === "ns" && parts[at + 1] !== undefined; at += 2) {
    namespace = Namespace.child(namespace, parts[at + 1] ?? "")
  }
  return { namespace, rest: parts.slice(at) }
}

const parseNamed = ([type = "", id = "", time]: ReadonlyArray<string>): Named => {
  const group = BackupGroup.parse(`${type}/${id}`)
  if (time === undefined) return { kind: "group", group }
  return time === "latest"
    ? { kind: "latest", group }
    : { kind: "snapshot", snapshot: Snapshot.parse(`${type}/${id}/${time}`) }
}

const parsePath = (base: Namespace.Namespace, text: string) =>
  parseInput((): Wanted => {
    const { namespace, rest } = splitNamespace(
      base,
      text.split("/").filter((part) => part !== "")
    )
    const [, , , archive, ...path] = rest
    return {
      namespace,
      named: rest.length === 0 ? undefined : parseNamed(rest.slice(0, 3)),
      archive,
      path: path.length === 0 ? undefined : Buffer.from(path.join("/"))
    }
  }, hint)

const parseParts = (base: Namespace.Namespace, snapshot: string, archive: string, path: string | undefined) =>
  Effect.gen(function* () {
    const named = yield* parseSnapshot(snapshot)
    return {
      namespace: base,
      // With an archive behind it a group means its newest snapshot, as it does for other commands.
      named: named.kind === "group" ? ({ kind: "latest", group: named.group } as const) : named,
      archive,
      path: path === undefined ? undefined : yield* PathText.parse(path)
    }
  })

/** `base` is what `--ns` names. */
export const parse = (base: Namespace.Namespace, words: ReadonlyArray<string>) => {
  const [first, archive, path, ...more] = words
  if (more.length > 0) return Effect.fail(new UsageError({ detail: "too many arguments", hint }))
  if (first === undefined || archive === undefined) return parsePath(base, first ?? "")
  return parseParts(base, first, archive, path)
}

/** What the tree begins with, once the snapshot is known. */
export const rootOf = (wanted: Wanted, snapshot: Snapshot.Snapshot | undefined): VfsRoot => ({
  namespace: wanted.namespace,
  ...(wanted.named?.kind === "group" ? { group: wanted.named.group } : {}),
  ...(snapshot === undefined ? {} : { snapshot }),
  ...(wanted.archive === undefined ? {} : { archive: wanted.archive }),
  ...(wanted.path === undefined ? {} : { path: wanted.path })
})
