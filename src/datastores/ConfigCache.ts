/**
 * ConfigCache: the parsed `datastore.cfg` and `s3.cfg` of a configuration folder, read again only when they may have
 * changed.
 *
 * Invariant: what `current` answers holds every change that any process had done through this library before it was
 * asked (see `Generation`). An edit by hand is seen when inode, size or second of a file show it, which is looked at
 * every 50 ms at most, and in any case when the time to live is over. Stamps are taken before the contents they stand
 * for, so a change in between is found the next time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Semaphore from "effect/Semaphore"
import type { ConfigError } from "../config/ConfigError.ts"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Endpoints from "../config/Endpoints.ts"
import { isId } from "../config/Fields.ts"
import * as Generation from "../config/Generation.ts"
import type { Maintenance } from "../config/Maintenance.ts"
import { nearest } from "../config/nearest.ts"
import * as Sections from "../config/Sections.ts"
import { type Section, titleOf } from "../format/SectionConfig.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError } from "../platform/Files.ts"
import * as Metrics from "../platform/Metrics.ts"
import { DatastoresError } from "./DatastoresError.ts"

type Failure = ConfigError | FilesError

/** A datastore as it is configured. */
export interface Configured {
  readonly entry: DatastoreConfig.DatastoreEntry
  /** Its folder, or the cache folder of one in a bucket. */
  readonly folder: string
  readonly maintenance: Maintenance | undefined
  /** All that an open store depends on, in one text: while it stays the same, so can the open store. */
  readonly identity: string
}

/** The configuration at one time. Values of a section are looked at when somebody asks for it. */
export class Configuration {
  readonly folder: string
  readonly digests: string
  readonly #sections: ReadonlyMap<string, Section>
  readonly #endpoints: ReadonlyMap<string, Section>
  readonly #configured = new Map<string, Configured>()

  constructor(folder: string, datastores: ConfigFolder.FileContent, endpoints: ConfigFolder.FileContent) {
    this.folder = folder
    this.digests = `${datastores.digest} ${endpoints.digest}`
    const own = datastores.sections.filter(({ type }) => type === DatastoreConfig.kind.sectionType)
    this.#sections = new Map(own.map((section) => [section.id, section]))
    this.#endpoints = new Map(endpoints.sections.map((section) => [section.id, section]))
  }

  get names(): ReadonlyArray<string> {
    return [...this.#sections.keys()]
  }

  /** The datastore of this name, if somebody has asked for it before. */
  known(name: string): Configured | undefined {
    return this.#configured.get(name)
  }

  get(name: string): Effect.Effect<Configured, ConfigError | DatastoresError> {
    const known = this.#configured.get(name)
    if (known !== undefined) return Effect.succeed(known)
    const section = this.#sections.get(name)
    // Names become file names.
    if (section === undefined || !isId(name)) return Effect.fail(this.#missing(name))
    return Effect.map(Sections.entryOf(DatastoreConfig.kind, this.folder, section), (entry) => {
      const configured = this.#configure(entry)
      this.#configured.set(name, configured)
      return configured
    })
  }

  #configure(entry: DatastoreConfig.DatastoreEntry): Configured {
    const backend = DatastoreConfig.backendOf(entry)
    const { syncLevel } = DatastoreConfig.tuningOf(entry)
    const endpoint = backend.type === "s3" ? this.#endpoints.get(backend.client) : undefined
    const server = endpoint === undefined ? "" : JSON.stringify([titleOf(endpoint), endpoint.properties])
    return {
      entry,
      folder: DatastoreConfig.folderOf(entry),
      maintenance: DatastoreConfig.maintenanceOf(entry),
      identity: `${syncLevel} ${JSON.stringify(backend)} ${server}`
    }
  }

  #missing(name: string): DatastoresError {
    const near = nearest(name, this.names)
    const { detail, hint } = Sections.missing(DatastoreConfig.kind, this.folder, name, [])
    return new DatastoresError({
      reason: "NoSuchDatastore",
      subject: name,
      detail: near === undefined ? detail : `${detail}; did you mean ${near}?`,
      hint
    })
  }
}

interface Cached {
  readonly configuration: Configuration
  readonly generation: string
  readonly edits: string
  readonly readMillis: number
  lookedMillis: number
}

export interface CacheOptions {
  readonly ttlMillis: number
  /** How long the files' own stamps are trusted without another look. */
  readonly editLookMillis: number
}

export interface ConfigCache {
  readonly current: Effect.Effect<Configuration, Failure>
  /** What was current at most `editLookMillis` ago: for who only tidies up. */
  readonly recent: Effect.Effect<Configuration, Failure>
}

export const make = (
  folder: string,
  { editLookMillis, ttlMillis }: CacheOptions
): Effect.Effect<ConfigCache, never, Files | FileLocks> =>
  Effect.gen(function* () {
    const files = yield* Files
    const machine = yield* Effect.context<Files | FileLocks>()
    const readGeneration = Generation.makeReader(files, folder)
    const readDatastores = Generation.makeStamper(files, Sections.pathIn(DatastoreConfig.kind, folder))
    const readEdits = Effect.zipWith(
      readDatastores,
      Generation.makeStamper(files, Endpoints.pathIn(folder)),
      (datastores, endpoints) => `${datastores} ${endpoints}`
    )
    const oneReader = Semaphore.makeUnsafe(1)
    let cached: Cached | undefined

    const load = Effect.gen(function* () {
      const datastores = yield* ConfigFolder.load({ folder, name: DatastoreConfig.kind.fileName })
      const endpoints = yield* ConfigFolder.load({ folder, name: "s3.cfg" })
      return new Configuration(folder, datastores, endpoints)
    }).pipe(Effect.provideContext(machine))

    /** A counter that is missing costs a failure at every look; where nobody can make one, there is none. */
    const readOrMakeGeneration = Effect.gen(function* () {
      const generation = yield* readGeneration
      if (generation !== Generation.noFile || (yield* readDatastores) === Generation.noFile) return generation
      yield* Effect.ignore(Effect.provideContext(Generation.bump(folder), machine))
      return yield* readGeneration
    })

    const isYoung = ({ readMillis }: Cached, nowMillis: number): boolean => nowMillis - readMillis < ttlMillis

    /** Alone. Who waited finds what the one before has read, if that is recent enough. */
    const reload = Effect.gen(function* () {
      const generation = yield* readOrMakeGeneration
      const edits = yield* readEdits
      const nowMillis = yield* Clock.currentTimeMillis
      const before = cached
      const isSame = before?.generation === generation && before.edits === edits
      if (before !== undefined && isSame && isYoung(before, nowMillis)) {
        before.lookedMillis = nowMillis
        return before.configuration
      }
      const read = yield* load
      yield* Metric.update(Metrics.configReads, 1)
      const configuration = read.digests === before?.configuration.digests ? before.configuration : read
      cached = { configuration, generation, edits, readMillis: nowMillis, lookedMillis: nowMillis }
      return configuration
    }).pipe(oneReader.withPermit)

    const current = Effect.flatMap(readGeneration, (generation) =>
      Effect.clockWith((clock) => {
        const nowMillis = clock.currentTimeMillisUnsafe()
        const isKnown = cached?.generation === generation && isYoung(cached, nowMillis)
        return isKnown && cached !== undefined && nowMillis - cached.lookedMillis < editLookMillis
          ? Effect.succeed(cached.configuration)
          : reload
      })
    )

    const recent = Effect.clockWith((clock) => {
      const nowMillis = clock.currentTimeMillisUnsafe()
      return cached !== undefined &&
        isYoung(cached, nowMillis) &&
        nowMillis - cached.lookedMillis < editLookMillis
        ? Effect.succeed(cached.configuration)
        : current
    })

    return { current, recent }
  })
