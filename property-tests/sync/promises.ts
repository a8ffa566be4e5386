/**
 * promises: what two stores hold, as plain values, and what everything that is done to them comes to: what backups,
 * removals, marks, verifications, collections and syncs promise, in the fewest words.
 *
 * It is the other side of the tests, so nothing of `src/sync` is in here: it is written down from what docs/sync.md
 * and Proxmox Backup Server's manual say.
 */

export type End = "source" | "target"

export interface Copy {
  /** Two with the same one are the same snapshot. */
  readonly identity: string
  /** Names of its chunks. */
  readonly chunks: ReadonlyArray<string>
  readonly encrypted: boolean
  readonly log: string | undefined
  finished: boolean
  verified: "ok" | "failed" | undefined
  notes: string | undefined
  protected: boolean
}

export interface Group {
  readonly owner: string
  /** By day. */
  readonly copies: Map<number, Copy>
}

export interface Store {
  /** By path, the root is the empty one; in each, groups by name. */
  readonly namespaces: Map<string, Map<string, Group>>
  /** Chunks with damaged content. */
  readonly damaged: Set<string>
  /** Chunks that were found damaged, and set aside. */
  readonly condemned: Set<string>
}

export const emptyStore = (): Store => ({
  namespaces: new Map([["", new Map()]]),
  damaged: new Set(),
  condemned: new Set()
})

export const days = ({ copies }: Group): ReadonlyArray<number> => [...copies.keys()].toSorted((a, b) => a - b)

const componentsOf = (namespace: string): ReadonlyArray<string> =>
  namespace === "" ? [] : namespace.split("/")

export const createNamespace = ({ namespaces }: Store, namespace: string): void => {
  const names = componentsOf(namespace)
  for (let depth = 0; depth <= names.length; depth++) {
    const around = names.slice(0, depth).join("/")
    if (!namespaces.has(around)) namespaces.set(around, new Map())
  }
}

export const groupsIn = ({ namespaces }: Store, namespace: string): Map<string, Group> =>
  namespaces.get(namespace) ?? new Map<string, Group>()

/** Stores the chunks of something: one that was set aside comes back; one that is there is taken for good. */
const storeChunks = ({ condemned }: Store, chunks: ReadonlyArray<string>): void => {
  for (const chunk of chunks) condemned.delete(chunk)
}

export const addCopy = (
  store: Store,
  place: { readonly namespace: string; readonly group: string; readonly owner: string; readonly day: number },
  copy: Copy
): void => {
  createNamespace(store, place.namespace)
  const groups = groupsIn(store, place.namespace)
  const group = groups.get(place.group) ?? { owner: place.owner, copies: new Map() }
  groups.set(place.group, group)
  group.copies.set(place.day, copy)
  storeChunks(store, copy.chunks)
}

/** Every snapshot, with where it is. */
export const copiesIn = ({ namespaces }: Store) =>
  [...namespaces].flatMap(([namespace, groups]) =>
    [...groups].flatMap(([group, found]) =>
      days(found).map((day) => ({ namespace, group, day, copy: found.copies.get(day)! }))
    )
  )

/** Removes a snapshot; the group goes with its last one. */
export const forget = (store: Store, namespace: string, name: string, day: number): void => {
  const group = groupsIn(store, namespace).get(name)
  group?.copies.delete(day)
  if (group?.copies.size === 0) groupsIn(store, namespace).delete(name)
}

/** Looks at every chunk that a finished snapshot names. */
export const verify = (store: Store): void => {
  const { condemned, damaged } = store
  const finished = copiesIn(store).filter(({ copy }) => copy.finished)
  for (const { copy } of finished) {
    const isBad = copy.chunks.some((chunk) => damaged.has(chunk) || condemned.has(chunk))
    copy.verified = isBad ? "failed" : "ok"
  }
  for (const chunk of new Set(finished.flatMap(({ copy }) => copy.chunks))) {
    if (damaged.delete(chunk)) condemned.add(chunk)
  }
}

/** What nobody names goes; snapshots whose chunks are missing are marked. */
export const collect = (store: Store): void => {
  const { condemned, damaged } = store
  const copies = copiesIn(store)
  const named = new Set(copies.flatMap(({ copy }) => copy.chunks))
  for (const chunks of [damaged, condemned]) {
    for (const chunk of chunks) if (!named.has(chunk)) chunks.delete(chunk)
  }
  for (const { copy } of copies) {
    if (copy.finished && copy.chunks.some((chunk) => condemned.has(chunk))) copy.verified = "failed"
  }
}

export interface Wishes {
  readonly direction: "pull" | "push"
  readonly from: string
  readonly to: string
  readonly maxDepth: number | undefined
  readonly takes: (group: string) => boolean
  readonly transferLast: number | undefined
  readonly removeVanished: boolean
  readonly resyncCorrupt: boolean
  readonly verifiedOnly: boolean
  readonly encryptedOnly: boolean
}

export interface Result {
  /** There is nothing to begin with. */
  readonly refused: boolean
  copied: number
  checked: number
  failedGroups: number
  removedSnapshots: number
}

export const syncOwner = "backup@pbs"
export const tokenOfOwner = "backup@pbs!token"

/** Of the sync's own user. */
const isOwn = (owner: string): boolean => owner === syncOwner || owner === tokenOfOwner

const isWithin = (namespace: string, anchor: string): boolean =>
  anchor === "" || namespace === anchor || namespace.startsWith(`${anchor}/`)

/** At or below an anchor, and not too deep. */
const below = ({ namespaces }: Store, anchor: string, maxDepth: number | undefined): ReadonlyArray<string> =>
  [...namespaces.keys()].filter(
    (namespace) =>
      isWithin(namespace, anchor) &&
      componentsOf(namespace).length - componentsOf(anchor).length <= (maxDepth ?? 7)
  )

const isBad = ({ finished, verified }: Copy): boolean => !finished || verified === "failed"

/**
 * Whole, as the source has it; whether it is protected is the target's own business, and so is a log that is there.
 */
const replaced = (copy: Copy, there: Copy | undefined): Copy => ({
  ...copy,
  protected: there?.protected ?? false,
  log: there?.log ?? copy.log
})

/** One group; answers whether all of it is done. */
const syncGroup = (
  target: Store,
  source: Group,
  group: Group,
  { direction, encryptedOnly, resyncCorrupt, transferLast, verifiedOnly }: Wishes,
  result: Result
): boolean => {
  const wanted = days(source).filter((day) => {
    const { encrypted, finished, verified } = source.copies.get(day)!
    return finished && (!verifiedOnly || verified === "ok") && (!encryptedOnly || encrypted)
  })
  const newest = Math.max(-1, ...days(group).filter((day) => group.copies.get(day)!.finished))
  const last = wanted.slice(transferLast === undefined ? 0 : -transferLast)
  for (const day of wanted) {
    const copy = source.copies.get(day)!
    const there = group.copies.get(day)
    const isRepair = resyncCorrupt && there !== undefined && isBad(there)
    if (isRepair || (day > newest && last.includes(day))) {
      group.copies.set(day, replaced(copy, there))
      storeChunks(target, copy.chunks)
      result.copied += 1
    } else if (day === newest && direction === "pull" && there !== undefined) {
      if (there.identity !== copy.identity) return false
      const renewed = { ...there, notes: copy.notes, verified: there.verified ?? copy.verified }
      group.copies.set(day, { ...renewed, log: there.log ?? copy.log })
      result.checked += 1
    }
  }
  return true
}

/** Removes what is not protected; answers whether nothing is left. */
const removeUnprotected = ({ copies }: Group, isGone: (day: number) => boolean, result: Result): boolean => {
  for (const [day, copy] of copies) {
    if (copy.protected || !isGone(day)) continue
    copies.delete(day)
    result.removedSnapshots += 1
  }
  return copies.size === 0
}

const removeGroups = (
  groups: Map<string, Group>,
  isThere: (group: string) => boolean,
  { takes }: Wishes,
  result: Result
): void => {
  for (const [name, group] of groups) {
    if (isThere(name) || !takes(name) || !isOwn(group.owner)) continue
    if (removeUnprotected(group, () => true, result)) groups.delete(name)
  }
}

const syncNamespace = (
  target: Store,
  found: Map<string, Group>,
  namespace: string,
  wishes: Wishes,
  result: Result
): void => {
  createNamespace(target, namespace)
  const groups = groupsIn(target, namespace)
  for (const [name, source] of found) {
    if (!wishes.takes(name)) continue
    const there = groups.get(name)
    const owner = there?.owner ?? syncOwner
    const mayWork = wishes.direction === "pull" ? owner === syncOwner : isOwn(owner)
    if (!mayWork) {
      if (wishes.direction === "pull") result.failedGroups += 1
      continue
    }
    const group = there ?? { owner, copies: new Map<number, Copy>() }
    const isDone = syncGroup(target, source, group, wishes, result)
    if (group.copies.size > 0) groups.set(name, group)
    if (!isDone) result.failedGroups += 1
    else if (wishes.removeVanished) removeUnprotected(group, (day) => !source.copies.has(day), result)
  }
  if (wishes.removeVanished) removeGroups(groups, (name) => found.has(name), wishes, result)
}

/** What a sync does to the target. */
export const sync = (source: Store, target: Store, wishes: Wishes): Result => {
  const { from, maxDepth, removeVanished, to } = wishes
  const result = { copied: 0, checked: 0, failedGroups: 0, removedSnapshots: 0 }
  if (!source.namespaces.has(from)) return { refused: true, ...result }
  const done: Result = { refused: false, ...result }
  const before = below(target, to, maxDepth)
  const reached = new Set<string>()
  for (const namespace of below(source, from, maxDepth)) {
    const rest = componentsOf(namespace).slice(componentsOf(from).length)
    const there = [...componentsOf(to), ...rest].join("/")
    reached.add(there)
    syncNamespace(target, groupsIn(source, namespace), there, wishes, done)
  }
  if (!removeVanished) return done
  const deepestFirst = before.toSorted((a, b) => componentsOf(b).length - componentsOf(a).length)
  for (const namespace of deepestFirst.filter((name) => name !== to && !reached.has(name))) {
    const groups = groupsIn(target, namespace)
    removeGroups(groups, () => false, wishes, done)
    const hasChild = [...target.namespaces.keys()].some((name) => name.startsWith(`${namespace}/`))
    if (groups.size === 0 && !hasChild) target.namespaces.delete(namespace)
  }
  return done
}

/** All of a store in lines, as `observe` tells of a real one. */
export const linesOf = ({ condemned, damaged, namespaces }: Store): ReadonlyArray<string> =>
  [...namespaces]
    .flatMap(([namespace, groups]) => [
      `namespace ${namespace}`,
      ...[...groups].flatMap(([name, group]) => [
        `${namespace} ${name} of ${group.owner}`,
        ...days(group).map((day) => {
          const {
            chunks,
            finished,
            identity,
            log,
            notes,
            protected: isProtected,
            verified
          } = group.copies.get(day)!
          const state = chunks.map((chunk) =>
            damaged.has(chunk) ? "damaged" : condemned.has(chunk) ? "missing" : "good"
          )
          const mark = isProtected ? "protected" : ""
          const more = [identity, verified ?? "", notes ?? "", state.join(" ")].join(" | ")
          return `${namespace} ${name}@${day} ${mark} log ${log ?? "none"} ${finished ? more : "unfinished"}`
        })
      ])
    ])
    .toSorted()
