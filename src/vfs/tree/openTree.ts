/** openTree: puts the parts of a tree together over an open datastore. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Datastore } from "../../datastore/Datastore.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import { InvalidName } from "../../model/InvalidName.ts"
import type { StorageError } from "../../store/StorageError.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"
import { Listings } from "../archive/Listings.ts"
import * as branches from "./branches.ts"
import * as DecodedChunks from "../content/DecodedChunks.ts"
import { Nodes } from "./Nodes.ts"
import { openArchive } from "./openArchive.ts"
import { openRoot, type VfsRoot } from "./openRoot.ts"
import * as OpenSnapshots from "./OpenSnapshots.ts"
import * as PathTemplate from "./PathTemplate.ts"
import { Slots } from "./Slots.ts"
import * as SnapshotFileReading from "./SnapshotFileReading.ts"
import * as StoreLists from "./StoreLists.ts"
import * as StoreTree from "./StoreTree.ts"
import type { Inode } from "../Vfs.ts"
import type { VfsError } from "../VfsError.ts"

export interface VfsOptions {
  /** Where the tree begins. Default: the whole datastore. */
  readonly root?: VfsRoot
  /** Where snapshots are found; see `PathTemplate`. Default `{type}/{id}/{time}`. */
  readonly template?: string
  /** Decrypts. What it does not fit to is shown all the same, and cannot be read. */
  readonly crypt?: CryptConfig
  /** Room for decoded chunks. Default 96 MiB. */
  readonly cacheBytes?: number
  /** For how long a store is waited for that cannot be reached. Default 60. */
  readonly waitSeconds?: number
  /** How long a snapshot that nobody reads any more is kept from being removed. Default 300. */
  readonly idleSeconds?: number
  /** How long a list of snapshots serves. Default 5. */
  readonly validSeconds?: number
  /** Whom everything belongs to. Default: as stored, and what is not stored to whoever runs this. */
  readonly uid?: number
  readonly gid?: number
  /** Everything belongs to root. */
  readonly ownerRoot?: boolean
}

export interface Tree {
  readonly nodes: Nodes
  readonly slots: Slots
  readonly lists: StoreLists.StoreLists
  readonly snapshots: OpenSnapshots.OpenSnapshots
  readonly files: SnapshotFileReading.SnapshotFiles
  readonly above: StoreTree.StoreTree
  /** The directory in an archive that the root is. */
  readonly rootDirectory: Inode | undefined
  readonly validSeconds: number
}

const defaults = { waitSeconds: 60, idleSeconds: 300, validSeconds: 5 }

const parseTemplate = (text: string): Effect.Effect<PathTemplate.PathTemplate, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(PathTemplate.parse(text))
    } catch (error) {
      if (!(error instanceof InvalidName)) throw error
      return Effect.fail(storeError("Refused", "path template", error.message))
    }
  })

/** `stored` where nobody said otherwise. */
const ownersOf = ({ gid, ownerRoot = false, uid }: VfsOptions) => ({
  uid: uid ?? (ownerRoot ? 0 : undefined),
  gid: gid ?? (ownerRoot ? 0 : undefined)
})

export const openTree = (
  options: VfsOptions
): Effect.Effect<Tree, StorageError | StoreError | VfsError, Datastore | Scope.Scope> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const { cacheBytes, crypt, root = {} } = options
    const { idleSeconds, validSeconds, waitSeconds } = { ...defaults, ...options }
    const template = yield* parseTemplate(options.template ?? PathTemplate.defaultTemplate)
    const openedSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const owners = ownersOf(options)
    const [slots, listings] = [new Slots(), new Listings()]
    const decoded = yield* DecodedChunks.make(
      datastore.chunks,
      cacheBytes === undefined ? {} : { maxBytes: cacheBytes }
    )
    const snapshots = yield* OpenSnapshots.make({
      datastore,
      decoded,
      crypt,
      waitSeconds,
      idleSeconds,
      openArchive: openArchive({ slots, listings, owners })
    })
    const found = yield* openRoot({ datastore, snapshots, slots, template, crypt }, root)
    const nodes = new Nodes(found.place)
    const only = root.snapshot === undefined ? root.group : undefined
    const lists = yield* StoreLists.make({ datastore, validSeconds, waitSeconds, only })
    const files = SnapshotFileReading.make()
    const above = StoreTree.make({
      nodes,
      slots,
      lists,
      branches: branches.make(lists, template, only),
      snapshots,
      files,
      owners: {
        uid: owners.uid ?? process.getuid?.() ?? 0,
        gid: owners.gid ?? process.getgid?.() ?? 0
      },
      openedSeconds,
      validSeconds
    })
    const rootDirectory = found.directory
    return { nodes, slots, lists, snapshots, files, above, rootDirectory, validSeconds }
  })
