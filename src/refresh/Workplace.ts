/**
 * Workplace: the folder `.granary-refresh`, in which metadata is rebuilt beside the old one, and the step that puts it
 * into place.
 *
 * `new` holds the type folders to come, `state` what may be said of them after an interruption: what was the latest
 * time of an object when the files began to be fetched. An object older than that which is still of this time and size
 * is what was fetched, and is not fetched again; also with whole seconds as times. It holds for files that were
 * written in the same start of the machine, for what was not flushed may be anything after a power loss.
 *
 * Invariant: a type folder changes from old to new by renames alone. While that goes on the folder's mark says
 * `incomplete`, so that nobody opens a mixture.
 */
import * as Effect from "effect/Effect"
import * as Namespace from "../model/Namespace.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import * as FolderMark from "../store/bucket/FolderMark.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"
import { type MetadataFile, type MetadataListing, typeFolders, withParents } from "./MetadataListing.ts"

const stateMaxBytes = 64 * 1024
const newFolder = "new"
const oldFolder = "old"

interface State {
  /** The bucket's. */
  readonly id: string
  readonly boot: string
  readonly newestSeconds: number
}

export const rootOf = (layout: StoreLayout): string => `${layout.refresh}/${newFolder}`

const statePath = (layout: StoreLayout): string => `${layout.refresh}/state`

const isMissing = (error: FilesError): boolean => isNotFound(error) || error.reason === "NotADirectory"

/** Removes a folder with all that is in it; one that is missing is fine. */
const removeTree = (path: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files.readDirectory(path)
    for (const { kind, name } of entries) {
      yield* kind === "directory" ? removeTree(`${path}/${name}`) : files.unlink(`${path}/${name}`)
    }
    yield* files.removeDirectory(path)
  }).pipe(Effect.catchIf(isNotFound, () => Effect.void))

/** Makes a folder and those around it, down from `root`, which must exist. */
export const ensureFolder = (root: string, folder: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    let path = root
    for (const name of folder.split("/")) {
      path = `${path}/${name}`
      yield* files.makeDirectory(path).pipe(
        Effect.catchIf(
          (error) => error.reason === "AlreadyExists",
          () => Effect.void
        )
      )
    }
  })

const decodeState = (text: string): State | undefined => {
  try {
    const { boot, id, newest } = JSON.parse(text) as Record<string, unknown>
    if (typeof boot !== "string" || typeof id !== "string" || typeof newest !== "number") return undefined
    return { boot, id, newestSeconds: newest }
  } catch {
    return undefined
  }
}

const readState = (layout: StoreLayout): Effect.Effect<State | undefined, FilesError, Files> =>
  Effect.flatMap(Files, (files) =>
    files.readFile(statePath(layout), stateMaxBytes).pipe(
      Effect.map((bytes) => decodeState(Buffer.from(bytes).toString())),
      Effect.catchIf(isMissing, () => Effect.succeed(undefined))
    )
  )

/** Calls `visit` for every file below `root`, with its path relative to it. */
const walk = <E, R>(
  root: string,
  below: string,
  visit: (path: string, sizeBytes: number) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | FilesError, R | Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const children = yield* files
      .statDirectory(below === "" ? root : `${root}/${below}`)
      .pipe(Effect.catchIf(isMissing, () => Effect.succeed([])))
    for (const { kind, name, sizeBytes } of children) {
      const path = below === "" ? name : `${below}/${name}`
      yield* kind === "directory" ? walk(root, path, visit) : visit(path, sizeBytes)
    }
  })

/** What an interrupted refresh has fetched of a listing. Only looks. */
export const findKept = (
  layout: StoreLayout,
  id: string,
  listing: MetadataListing
): Effect.Effect<ReadonlyMap<string, MetadataFile>, FilesError, Files> =>
  Effect.gen(function* () {
    const kept = new Map<string, MetadataFile>()
    const state = yield* readState(layout)
    const { bootId } = yield* Host
    if (state === undefined || state.id !== id || state.boot !== bootId || bootId === "") return kept
    yield* walk(rootOf(layout), "", (path, sizeBytes) =>
      Effect.sync(() => {
        const file = listing.files.get(path)
        const isOld = file !== undefined && file.lastModifiedSeconds < state.newestSeconds
        if (isOld && file.sizeBytes === sizeBytes) kept.set(path, file)
      })
    )
    return kept
  })

/** Makes the place ready: what is kept stays, everything else goes. */
export const prepare = (
  layout: StoreLayout,
  id: string,
  listing: MetadataListing
): Effect.Effect<ReadonlyMap<string, MetadataFile>, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const kept = yield* findKept(layout, id, listing)
    yield* removeTree(`${layout.refresh}/${oldFolder}`)
    if (kept.size === 0) yield* removeTree(layout.refresh)
    else
      yield* walk(rootOf(layout), "", (path) =>
        kept.has(path) ? Effect.void : files.unlink(`${rootOf(layout)}/${path}`)
      )
    for (const name of [newFolder, ...typeFolders.map((type) => `${newFolder}/${type}`)]) {
      yield* ensureFolder(layout.base, `${layout.refresh.slice(layout.base.length + 1)}/${name}`)
    }
    if (kept.size === 0) {
      const { bootId } = yield* Host
      const text = JSON.stringify({ id, boot: bootId, newest: listing.newestSeconds })
      yield* files.replaceFile(statePath(layout), [Buffer.from(text)])
    }
    return kept
  })

export const ensureNamespaces = (
  root: string,
  namespaces: ReadonlyArray<Namespace.Namespace>
): Effect.Effect<void, FilesError, Files> =>
  Effect.forEach(withParents(namespaces), (namespace) => ensureFolder(root, Namespace.toPath(namespace)), {
    discard: true
  })

const swapType = (layout: StoreLayout, type: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const place = `${layout.base}/${type}`
    yield* files
      .rename(place, `${layout.refresh}/${oldFolder}/${type}`)
      .pipe(Effect.catchIf(isNotFound, () => Effect.void))
    yield* files.rename(`${rootOf(layout)}/${type}`, place)
    // A type without groups has no folder.
    yield* Effect.ignore(files.removeDirectory(place))
  })

/** Puts what was rebuilt into place. What was there before goes to `old`. */
export const swap = (layout: StoreLayout): Effect.Effect<void, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* ensureFolder(layout.refresh, oldFolder)
    yield* files.syncFileSystem(layout.base)
    yield* FolderMark.setState(layout, "incomplete")
    for (const type of typeFolders) yield* swapType(layout, type)
    yield* files.syncDirectory(layout.base)
    yield* FolderMark.setState(layout, "ready")
  }).pipe(Effect.uninterruptible)

/** Removes the place and everything old in it. */
export const clear = (layout: StoreLayout): Effect.Effect<void, FilesError, Files> =>
  removeTree(layout.refresh)
