/**
 * Find: entries of a snapshot's file archives whose paths match patterns.
 *
 * Where the snapshot has a catalog, names are taken from there, which is a matter of moments, and the archive is asked
 * only about what matched. An archive that the catalog does not list, or a catalog too large to hold in memory, is
 * walked instead. Both ways give the same entries.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Catalog from "../../format/Catalog.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import { match, type PathPattern } from "../../model/PathPattern.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { decodeOrDamaged, storeError } from "../../store/StoreError.ts"
import * as ArchiveReader from "../ArchiveReader.ts"
import * as ArchiveTree from "../ArchiveTree.ts"
import type { SnapshotReader } from "../SnapshotReader.ts"
import { type CatalogLevel, CatalogScan } from "./CatalogScan.ts"
import * as PxarParts from "./PxarParts.ts"

export interface Found {
  readonly tree: ArchiveTree.ArchiveTree
  readonly node: ArchiveTree.TreeNode
}

export type FindError = ArchiveTree.TreeError | ArchiveTree.PathError

const catalogMaxBytes = 256 * 1024 * 1024

const isMatch = (patterns: ReadonlyArray<PathPattern>, path: Uint8Array, isDirectory: boolean): boolean =>
  // A plain pattern is an exclude by nature; here it is what picks an entry.
  match(patterns, path, isDirectory) === "exclude"

interface OpenCatalog {
  readonly bytes: Uint8Array
  /** Its directories, each an archive, by the name of the stored file. */
  readonly archives: ReadonlyMap<string, Catalog.CatalogDirectory>
}

const subjectOf = (reader: SnapshotReader): string =>
  `${Snapshot.format(reader.snapshot)} ${ArchiveName.catalog.client}`

const readArchives = (bytes: Uint8Array): OpenCatalog["archives"] => {
  const archives = new Map<string, Catalog.CatalogDirectory>()
  for (const entry of Catalog.readDirectory(bytes, Catalog.readRoot(bytes))) {
    if (entry.kind === "directory") archives.set(new TextDecoder().decode(entry.name), entry.directory)
  }
  return archives
}

const openCatalog = (reader: SnapshotReader) =>
  Effect.gen(function* () {
    const file = reader.manifest.files.find(({ filename }) => filename === ArchiveName.catalog.file)
    if (file === undefined || file.sizeBytes > catalogMaxBytes) return undefined
    if (file.cryptMode === "encrypt" && reader.crypt === undefined) {
      return yield* storeError("KeyNeeded", subjectOf(reader), "it is encrypted")
    }
    const index = yield* reader.index(file)
    const content = yield* ArchiveReader.make(reader.datastore.chunks, index, reader.crypt)
    const bytes = yield* content.read(0, content.sizeBytes)
    const archives = yield* decodeOrDamaged(subjectOf(reader), () => readArchives(bytes))
    return { bytes, archives } satisfies OpenCatalog
  })

/** Walks the archive itself. */
const findInArchive = (
  tree: ArchiveTree.ArchiveTree,
  patterns: ReadonlyArray<PathPattern>
): Stream.Stream<Found, FindError> =>
  tree.walkFrom(tree.root).pipe(
    Stream.filter((node) => isMatch(patterns, node.path, node.entry.kind === "directory")),
    Stream.map((node) => ({ tree, node }))
  )

/** Walks the archive's part of the catalog, and looks up in the archive what matches. */
const findInCatalog = (
  tree: ArchiveTree.ArchiveTree,
  patterns: ReadonlyArray<PathPattern>,
  catalog: Uint8Array,
  top: Catalog.CatalogDirectory
): Stream.Stream<Found, FindError> =>
  Stream.suspend(() => {
    const subject = subjectOf(tree.reader)
    const scan = new CatalogScan(catalog, top, (path, isDirectory) => isMatch(patterns, path, isDirectory))
    // Levels that the scan has left take their directories with them.
    const opened = new WeakMap<CatalogLevel, ArchiveTree.OpenDirectory>()

    const childOf = (parent: ArchiveTree.OpenDirectory, name: Uint8Array) =>
      Effect.flatMap(tree.childOf(parent, name), (node) =>
        node === undefined
          ? Effect.fail(storeError("Damaged", subject, "it lists what the archive does not have"))
          : Effect.succeed(node)
      )

    /** Opens the archive's directory of a level, and those above it that are not open yet. */
    const openLevel = (wanted: CatalogLevel) =>
      Effect.gen(function* () {
        const closed: Array<CatalogLevel> = []
        let level = wanted
        for (; !opened.has(level) && level.parent !== undefined; level = level.parent) closed.push(level)
        let directory = opened.get(level) ?? (yield* tree.openDirectory(tree.root))
        opened.set(level, directory)
        for (const next of closed.toReversed()) {
          directory = yield* tree.openDirectory(yield* childOf(directory, next.name))
          opened.set(next, directory)
        }
        return directory
      })

    const step = Effect.gen(function* () {
      const found = yield* decodeOrDamaged(subject, () => scan.next())
      if (found === undefined) return [[], Option.none()] as const
      if (found === "pause") {
        yield* Effect.yieldNow
        return [[], Option.some(undefined)] as const
      }
      const node = yield* childOf(yield* openLevel(found.level), found.name)
      return [[{ tree, node }], Option.some(undefined)] as const
    })

    return Stream.paginate<undefined, Found, FindError>(undefined, () => step)
  })

/** Entries of all file archives of the snapshot that the patterns pick. */
export const find = (
  reader: SnapshotReader,
  patterns: ReadonlyArray<PathPattern>
): Stream.Stream<Found, FindError> =>
  Stream.unwrap(
    Effect.map(openCatalog(reader), (catalog) =>
      Stream.fromIterable(PxarParts.all(reader.manifest)).pipe(
        Stream.flatMap((parts) =>
          Stream.unwrap(
            Effect.map(ArchiveTree.open(reader, parts.archive.filename), (tree) => {
              const directory = catalog?.archives.get(parts.archive.filename)
              return catalog === undefined || directory === undefined
                ? findInArchive(tree, patterns)
                : findInCatalog(tree, patterns, catalog.bytes, directory)
            })
          )
        )
      )
    )
  )
