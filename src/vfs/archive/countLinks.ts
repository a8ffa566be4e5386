/**
 * countLinks: finds out how many names the files of an archive have, in the cheapest way there is.
 *
 * The entries of a split archive are read from one end to the other, if they are not too many; where they are among
 * contents, the catalog knows whether there are hard links at all, and where. When neither is cheap, every file might
 * have several names.
 */
import * as Effect from "effect/Effect"
import { attempt } from "../../format/attempt.ts"
import * as Catalog from "../../format/Catalog.ts"
import type { ContentReader } from "../content/ContentReader.ts"
import { inWordsOf } from "../tree/toVfsError.ts"
import type { VfsError } from "../VfsError.ts"
import * as LinkCounts from "./LinkCounts.ts"
import type { PxarArchive } from "./PxarArchive.ts"

/** About 450,000 files. */
const scanMaxBytes = 64 * 1024 * 1024

const catalogMaxBytes = 64 * 1024 * 1024

/** Each may have to be fetched. */
const lookupsMax = 1024

const entriesAtOnce = 16_384

/** Below that a link is not looked for. */
const depthMax = 4096

type Path = ReadonlyArray<Uint8Array>

interface Level {
  /** Undefined for the root of the archive. */
  readonly parent: Level | undefined
  readonly name: Uint8Array
  readonly depth: number
  readonly entries: Iterator<Catalog.CatalogEntry>
}

const pathOf = (level: Level, name: Uint8Array): Path => {
  const names = [name]
  for (let each = level; each.parent !== undefined; each = each.parent) names.push(each.name)
  return names.toReversed()
}

/** Goes through one archive's part of a catalog for hard links. */
class LinkSearch {
  readonly found: Array<Path> = []
  /** There are more than can be looked up. */
  hasTooMany = false
  readonly #catalog: Uint8Array
  readonly #pending: Array<Level> = []

  constructor(catalog: Uint8Array, top: Catalog.CatalogDirectory) {
    this.#catalog = catalog
    this.#enter(undefined, new Uint8Array(0), top)
  }

  /** Looks at some entries; true when it is done. */
  step(): boolean {
    for (let seen = 0; seen < entriesAtOnce; seen++) {
      const level = this.#pending.at(-1)
      if (level === undefined || this.hasTooMany) return true
      const { done, value: entry } = level.entries.next()
      if (done === true) this.#pending.pop()
      else if (entry.kind === "directory") this.#enter(level, entry.name, entry.directory)
      else if (entry.kind === "hardlink") this.#add(level, entry.name)
    }
    return false
  }

  #add(level: Level, name: Uint8Array): void {
    this.hasTooMany = this.found.length === lookupsMax || level.depth > depthMax
    if (!this.hasTooMany) this.found.push(pathOf(level, name))
  }

  #enter(parent: Level | undefined, name: Uint8Array, directory: Catalog.CatalogDirectory): void {
    const entries = Catalog.readDirectory(this.#catalog, directory)
    this.#pending.push({ parent, name, depth: (parent?.depth ?? 0) + 1, entries })
  }
}

const searchOf = (catalog: Uint8Array, filename: string): LinkSearch | undefined => {
  for (const entry of Catalog.readDirectory(catalog, Catalog.readRoot(catalog))) {
    const isIt = entry.kind === "directory" && new TextDecoder().decode(entry.name) === filename
    if (isIt) return new LinkSearch(catalog, entry.directory)
  }
  return undefined
}

/** What the catalog says of the archive's hard links; undefined when nobody knows. */
const linksInCatalog = (
  content: ContentReader,
  filename: string
): Effect.Effect<LinkSearch | undefined, VfsError> =>
  Effect.gen(function* () {
    if (content.sizeBytes > catalogMaxBytes) return undefined
    const catalog = yield* content.read(0, content.sizeBytes)
    const search = yield* attempt(() => searchOf(catalog, filename))
    if (search === undefined) return undefined
    while (!(yield* attempt(() => search.step()))) yield* Effect.yieldNow
    return search
  }).pipe(inWordsOf(filename))

const fromPaths = (
  archive: PxarArchive,
  paths: ReadonlyArray<Path>
): Effect.Effect<LinkCounts.LinkCounts, VfsError> =>
  Effect.map(Effect.forEach(paths, archive.linkTarget), (targets) =>
    targets.includes(undefined)
      ? LinkCounts.unknown
      : LinkCounts.fromTargets(Float64Array.from(targets, (target) => target ?? 0))
  )

export interface CountingOptions {
  readonly archive: PxarArchive
  /** Of the stored file with the archive's entries. */
  readonly filename: string
  /** The snapshot's catalog, if it has one. */
  readonly catalog: Effect.Effect<ContentReader, VfsError> | undefined
}

export const countLinks = ({ archive, catalog, filename }: CountingOptions) =>
  Effect.gen(function* () {
    const { source, subject } = archive
    const scanned = inWordsOf(subject)(
      LinkCounts.scan(source.sizeBytes, (offset, lengthBytes, use) =>
        source.lend(offset, lengthBytes, source.sizeBytes, use)
      )
    )
    if (archive.version === 2) {
      return source.sizeBytes <= scanMaxBytes ? yield* scanned : LinkCounts.unknown
    }
    const links = catalog === undefined ? undefined : yield* linksInCatalog(yield* catalog, filename)
    if (links !== undefined && !links.hasTooMany && links.found.length === 0) return LinkCounts.allSingle
    if (source.sizeBytes <= scanMaxBytes) return yield* scanned
    return links === undefined || links.hasTooMany
      ? LinkCounts.unknown
      : yield* fromPaths(archive, links.found)
  }).pipe(
    // What is damaged somewhere else keeps nobody from seeing the rest.
    Effect.catchIf(
      ({ reason }: VfsError) => reason !== "Unreachable" && reason !== "Gone",
      (error) =>
        Effect.as(
          Effect.logWarning(`the names of files cannot be counted: ${error.message}`),
          LinkCounts.unknown
        )
    )
  )
