/**
 * branches: the folders that a path template makes: which names are in one, and what is under them. Groups are listed
 * where only they matter, snapshots of the groups in question where times do.
 */
import * as Effect from "effect/Effect"
import type { BackupGroup } from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import type { NodePlace } from "./Nodes.ts"
import { latestName, namespacesName, type PathTemplate } from "./PathTemplate.ts"
import type { StoreLists } from "./StoreLists.ts"
import { type VfsError, vfsError } from "../VfsError.ts"

export interface Child {
  readonly name: string
  readonly place: NodePlace
}

type Branch = Extract<NodePlace, { kind: "branch" }>

const beginsWith = (path: ReadonlyArray<string>, names: ReadonlyArray<string>): boolean =>
  names.every((name, index) => path[index] === name)

const byName = (left: Child, right: Child): number =>
  left.name < right.name ? -1 : left.name > right.name ? 1 : 0

/** Each name once, sorted. */
const folders = ({ names, namespace }: Branch, paths: ReadonlyArray<ReadonlyArray<string>>) => {
  const found = new Set(paths.flatMap((path) => path[names.length] ?? []))
  return [...found]
    .map((name): Child => ({ name, place: { kind: "branch", namespace, names: [...names, name] } }))
    .sort(byName)
}

export const make = (lists: StoreLists, template: PathTemplate, only: BackupGroup | undefined) => {
  const gone = ({ names }: Branch) =>
    vfsError("Gone", names.join("/"), "there are no such snapshots any more")

  /** Groups of which something may be in the folder. */
  const groupsIn = ({ names, namespace }: Branch): Effect.Effect<ReadonlyArray<BackupGroup>, VfsError> =>
    Effect.map(lists.groups(namespace), (groups) => {
      const known = names.slice(0, template.groupDepth)
      return groups.filter((group) => beginsWith(template.ofGroup(group), known))
    })

  const snapshotsIn = (branch: Branch, groups: ReadonlyArray<BackupGroup>) =>
    Effect.map(
      Effect.forEach(groups, (group) =>
        lists.snapshots(branch.namespace, group).pipe(
          // A group that went while we looked has none.
          Effect.catchIf(
            ({ reason }) => reason === "Gone" && groups.length > 1,
            () => Effect.succeed([])
          )
        )
      ),
      (found) =>
        found
          .flat()
          .map((snapshot) => ({ snapshot, path: template.ofSnapshot(snapshot) }))
          .filter(({ path }) => beginsWith(path, branch.names))
    )

  /** The link beside a group's snapshots. */
  const latestIn = (
    branch: Branch,
    groups: ReadonlyArray<BackupGroup>,
    isEmpty: boolean
  ): ReadonlyArray<Child> => {
    const [group] = groups
    const isPlace = template.hasGroupFolder && branch.names.length === template.groupDepth
    if (!isPlace || isEmpty || group === undefined) return []
    return [{ name: latestName, place: { kind: "latest", namespace: branch.namespace, group } }]
  }

  const namespacesIn = ({ names, namespace }: Branch) =>
    names.length > 0 || only !== undefined
      ? Effect.succeed([])
      : Effect.map(lists.namespaces(namespace), (found): ReadonlyArray<Child> =>
          found.length === 0 ? [] : [{ name: namespacesName, place: { kind: "namespaces", namespace } }]
        )

  const children = (branch: Branch): Effect.Effect<ReadonlyArray<Child>, VfsError> =>
    Effect.gen(function* () {
      const { names, namespace } = branch
      const groups = yield* groupsIn(branch)
      if (groups.length === 0 && names.length > 0) return yield* gone(branch)
      if (names.length < template.groupDepth) {
        return [...(yield* namespacesIn(branch)), ...folders(branch, groups.map(template.ofGroup))]
      }
      const found = yield* snapshotsIn(branch, groups)
      if (found.length === 0 && names.length > template.groupDepth) return yield* gone(branch)
      const latest = latestIn(branch, groups, found.length === 0)
      const around = yield* namespacesIn(branch)
      if (names.length + 1 < template.depth) {
        return [
          ...around,
          ...folders(
            branch,
            found.map(({ path }) => path)
          ),
          ...latest
        ]
      }
      const snapshots = found.map(({ path, snapshot }): Child => ({
        name: path.at(-1) ?? "",
        place: { kind: "snapshot", at: { namespace, snapshot } }
      }))
      return [...around, ...snapshots.sort(byName), ...latest]
    })

  /** Where `latest` of a group leads, from the folder that it is in. */
  const latestTarget = (namespace: Namespace, group: BackupGroup): Effect.Effect<string, VfsError> =>
    Effect.flatMap(lists.snapshots(namespace, group), (snapshots) => {
      const newest = snapshots.at(-1)
      if (newest !== undefined) {
        return Effect.succeed(template.ofSnapshot(newest).slice(template.groupDepth).join("/"))
      }
      return Effect.fail(vfsError("Gone", `${group.type}/${group.id}`, "the group has no finished snapshot"))
    })

  return { children, latestTarget }
}

export type Branches = ReturnType<typeof make>
