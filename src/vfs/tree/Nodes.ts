/**
 * Nodes: what the tree above the archives consists of, each thing with its number. A thing gets its node when it is
 * first listed or looked up, and keeps it; there are as many as snapshots were looked at, however large they are.
 */
import type { BackupGroup } from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { directoryBase, leafBase } from "./inodes.ts"
import type { SnapshotPlace } from "./OpenSnapshots.ts"
import type { SnapshotFile } from "./SnapshotFolder.ts"
import type { Inode } from "../Vfs.ts"

export type NodePlace =
  /** The folder with the namespaces inside of one. */
  | { readonly kind: "namespaces"; readonly namespace: Namespace }
  /** A folder of the template: `names` are the first ones of the paths of what is in it. */
  | { readonly kind: "branch"; readonly namespace: Namespace; readonly names: ReadonlyArray<string> }
  | { readonly kind: "latest"; readonly namespace: Namespace; readonly group: BackupGroup }
  | { readonly kind: "snapshot"; readonly at: SnapshotPlace }
  | { readonly kind: "file"; readonly at: SnapshotPlace; readonly file: SnapshotFile }
  /** A directory that holds nothing but this file of a snapshot. */
  | { readonly kind: "single"; readonly at: SnapshotPlace; readonly file: SnapshotFile }

export interface Node {
  readonly inode: Inode
  readonly name: string
  /** The root is its own. */
  readonly parent: Node
  readonly place: NodePlace
  /** Of a blob's content, once it is known. */
  contentBytes: number | undefined
}

const isLeaf = ({ kind }: NodePlace): boolean => kind === "latest" || kind === "file"

/** Two things of one name one after the other are different things when their contents differ. */
const versionOf = (place: NodePlace): string => (place.kind === "file" ? place.file.csum : "")

const pathOf = ({ namespace, snapshot }: SnapshotPlace): string => Snapshot.toPath(namespace, snapshot)

export class Nodes {
  readonly root: Node
  readonly #nodes: Array<Node> = []
  readonly #byName = new Map<string, Node>()
  readonly #snapshots = new Map<string, Node>()

  constructor(root: NodePlace) {
    this.root = this.#add("", root, undefined)
  }

  find(number: number): Node | undefined {
    return this.#nodes[number - 1]
  }

  /** The node of that name in a folder. */
  child(parent: Node, name: string, place: NodePlace): Node {
    const key = `${parent.inode} ${name} ${place.kind} ${versionOf(place)}`
    const known = this.#byName.get(key)
    if (known !== undefined) return known
    const node = this.#add(name, place, parent)
    this.#byName.set(key, node)
    return node
  }

  /** The snapshot of that name in a folder, if it was ever seen. */
  knownSnapshot(parent: Node, name: string): Node | undefined {
    return this.#byName.get(`${parent.inode} ${name} snapshot `)
  }

  /** The directory that a snapshot's archives are in; the root when that is inside of the snapshot. */
  ofSnapshot(at: SnapshotPlace): Node {
    return this.#snapshots.get(pathOf(at)) ?? this.root
  }

  #add(name: string, place: NodePlace, parent: Node | undefined): Node {
    const number = this.#nodes.length + 1
    const inode = (isLeaf(place) ? leafBase : directoryBase)(0) + BigInt(number)
    const parts = { inode, name, place, contentBytes: undefined }
    const node: Node = parent === undefined ? asRoot(parts) : { ...parts, parent }
    this.#nodes.push(node)
    if (place.kind === "snapshot") this.#snapshots.set(pathOf(place.at), node)
    return node
  }
}

const asRoot = (parts: Omit<Node, "parent">): Node => {
  const node = { ...parts } as Omit<Node, "parent"> & { parent?: Node }
  node.parent = node as Node
  return node as Node
}
