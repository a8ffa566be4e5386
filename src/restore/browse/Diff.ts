/**
 * Diff: what changed from one file archive to another: both trees are walked at once, names merged in order.
 *
 * `modified` is another kind, content, link target or device; `metadata` is anything else a backup keeps (mode,
 * owner, times, attributes). Below an added or removed directory everything is told. Files of the same size and
 * time are taken for unchanged unless `compareContents` is set; chunks that both sides share are never read.
 * Directories are compared by what they are, not by what is in them.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FileMetadata } from "../../model/FileMetadata.ts"
import type { ArchiveTree, PathError, ResolvedEntry, TreeError, TreeNode } from "../ArchiveTree.ts"
import { sameContent } from "./sameContent.ts"

export type ChangeKind = "added" | "removed" | "modified" | "metadata"

export interface Change {
  readonly change: ChangeKind
  readonly path: Uint8Array
  /** Missing for what was added. */
  readonly left: TreeNode | undefined
  /** Missing for what was removed. */
  readonly right: TreeNode | undefined
}

export interface DiffOptions {
  /** Read files of the same size and time as well. */
  readonly compareContents?: boolean
}

export type DiffError = TreeError | PathError

/** A path, and what stands there on either side. */
interface Pair {
  readonly left: TreeNode | undefined
  readonly right: TreeNode | undefined
}

const batchChanges = 256

const byName = (left: TreeNode, right: TreeNode): number => Buffer.compare(left.name, right.name)

/** Children of both sides, sorted, those of the same name together. */
const mergeNames = (
  leftNodes: ReadonlyArray<TreeNode>,
  rightNodes: ReadonlyArray<TreeNode>
): ReadonlyArray<Pair> => {
  const lefts = leftNodes.toSorted(byName)
  const rights = rightNodes.toSorted(byName)
  const pairs: Array<Pair> = []
  let leftAt = 0
  let rightAt = 0
  while (leftAt < lefts.length || rightAt < rights.length) {
    const left = lefts[leftAt]
    const right = rights[rightAt]
    const order = left === undefined ? 1 : right === undefined ? -1 : byName(left, right)
    pairs.push({ left: order <= 0 ? left : undefined, right: order >= 0 ? right : undefined })
    if (order <= 0) leftAt++
    if (order >= 0) rightAt++
  }
  return pairs
}

const sortedAttributes = ({ xattrs }: FileMetadata) =>
  xattrs.toSorted((left, right) => Buffer.compare(left.name, right.name))

const sameMetadata = (left: FileMetadata, right: FileMetadata): boolean =>
  Equal.equals({ ...left, xattrs: sortedAttributes(left) }, { ...right, xattrs: sortedAttributes(right) })

const sameTime = (left: FileMetadata, right: FileMetadata): boolean =>
  left.mtimeSeconds === right.mtimeSeconds && left.mtimeNanos === right.mtimeNanos

/** Whether two entries other than files are the same thing; metadata aside. */
const sameThing = (left: ResolvedEntry, right: ResolvedEntry): boolean => {
  if (left.kind === "symlink" && right.kind === "symlink") return Equal.equals(left.target, right.target)
  if ("device" in left && "device" in right) {
    return left.kind === right.kind && Equal.equals(left.device, right.device)
  }
  return left.kind === right.kind
}

/** Nothing in the archives differs when they have the same indexes. */
const isIdentical = (left: ArchiveTree, right: ArchiveTree): boolean =>
  left.parts.archive.csum === right.parts.archive.csum &&
  left.parts.payload?.csum === right.parts.payload?.csum

const compareWith = (leftTree: ArchiveTree, rightTree: ArchiveTree, options: DiffOptions) => {
  const isSameFile = (left: TreeNode, right: TreeNode) =>
    Effect.gen(function* () {
      return yield* sameContent(yield* leftTree.locate(left), yield* rightTree.locate(right))
    })

  const isModified = (
    left: TreeNode,
    right: TreeNode,
    leftEntry: ResolvedEntry,
    rightEntry: ResolvedEntry
  ) => {
    if (leftEntry.kind !== "file" || rightEntry.kind !== "file") {
      return Effect.succeed(!sameThing(leftEntry, rightEntry))
    }
    if (leftEntry.content.sizeBytes !== rightEntry.content.sizeBytes) return Effect.succeed(true)
    const isTrusted = options.compareContents !== true && sameTime(leftEntry.metadata, rightEntry.metadata)
    return isTrusted ? Effect.succeed(false) : Effect.map(isSameFile(left, right), (isSame) => !isSame)
  }

  /** The change of what is on both sides; undefined for none. */
  return (left: TreeNode, right: TreeNode): Effect.Effect<ChangeKind | undefined, DiffError> =>
    Effect.gen(function* () {
      const leftEntry = yield* leftTree.resolve(left)
      const rightEntry = yield* rightTree.resolve(right)
      if (yield* isModified(left, right, leftEntry, rightEntry)) return "modified"
      return sameMetadata(leftEntry.metadata, rightEntry.metadata) ? undefined : "metadata"
    })
}

/** What changed from `left` to `right`, sorted by path, a directory before what is in it. */
export const diff = (
  left: ArchiveTree,
  right: ArchiveTree,
  options: DiffOptions = {}
): Stream.Stream<Change, DiffError> =>
  Stream.suspend(() => {
    if (isIdentical(left, right)) return Stream.empty
    const compare = compareWith(left, right, options)
    const pending: Array<Iterator<Pair>> = [[{ left: left.root, right: right.root }].values()]

    const childrenOf = (tree: ArchiveTree, node: TreeNode | undefined) =>
      node?.entry.kind === "directory" ? tree.children(node) : Effect.succeed([])

    const changeOf = (pair: Pair): Effect.Effect<ChangeKind | undefined, DiffError> => {
      if (pair.left === undefined) return Effect.succeed("added")
      if (pair.right === undefined) return Effect.succeed("removed")
      return compare(pair.left, pair.right)
    }

    const step = Effect.gen(function* () {
      const changes: Array<Change> = []
      for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
        if (changes.length >= batchChanges) return [changes, Option.some(undefined)] as const
        const next = level.next()
        if (next.done === true) {
          pending.pop()
          continue
        }
        const pair = next.value
        const change = yield* changeOf(pair)
        const path = (pair.right ?? pair.left)?.path
        if (change !== undefined && path !== undefined) changes.push({ change, path, ...pair })
        const lefts = yield* childrenOf(left, pair.left)
        const rights = yield* childrenOf(right, pair.right)
        if (lefts.length + rights.length > 0) pending.push(mergeNames(lefts, rights).values())
      }
      return [changes, Option.none()] as const
    })

    return Stream.paginate<undefined, Change, DiffError>(undefined, () => step)
  })
