/**
 * Sections: what is done with one kind of section in its file, whichever kind it is: listing, finding, making, changing
 * and removing.
 *
 * Invariant: what is written was accepted by its kind; keys and sections that are unknown here stay as they are. A bad
 * value is told with file, section and key, and only whoever asks for its section hears of it.
 */
import * as Effect from "effect/Effect"
import { attempt } from "../format/attempt.ts"
import { FormatError } from "../format/FormatError.ts"
import { type Section, titleOf, valuesOf, withValues } from "../format/SectionConfig.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"
import * as ConfigFolder from "./ConfigFolder.ts"
import { type Fields, idRule, isId, isList, type Values } from "./Fields.ts"
import { nearest } from "./nearest.ts"

/** One entry of a file: its values as they are meant, and the section as it stands there. */
export interface Entry<F extends Fields> {
  readonly id: string
  readonly values: Values<F>
  readonly section: Section
}

export interface Kind<F extends Fields> {
  /** Such as `datastore.cfg`. */
  readonly fileName: string
  readonly sectionType: string
  /** What people call one, such as `datastore`. */
  readonly what: string
  readonly fields: F
  readonly required: ReadonlyArray<keyof F & string>
  /** What single values cannot tell; throws `FormatError`. */
  readonly check?: (values: Values<F>) => void
  /** The command that makes one. */
  readonly command: string
}

/** Texts for keys; an empty one, or none of a list, takes a key away. */
export type Texts<F extends Fields> = {
  readonly [Key in keyof F]?: string | ReadonlyArray<string> | undefined
}

type Failure = ConfigError | FilesError

export const fileOf = <F extends Fields>(kind: Kind<F>, folder: string): ConfigFolder.SectionFile => ({
  folder,
  name: kind.fileName
})

export const pathIn = <F extends Fields>(kind: Kind<F>, folder: string): string =>
  ConfigFolder.pathOf(fileOf(kind, folder))

/** Says to which key a refusal belongs. */
const named = <A>(key: string, decode: () => A): A => {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    const { expected, format, found, offset } = error
    throw new FormatError({ format, offset, expected: `${expected} for ${key}`, found })
  }
}

/** Throws `FormatError` for what the kind does not take. */
export const valuesIn = <F extends Fields>(kind: Kind<F>, section: Section): Values<F> => {
  const values: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(kind.fields)) {
    const texts = valuesOf(section, key)
    const [first] = texts
    if (first === undefined) continue
    values[key] = named(key, () =>
      isList(field) ? texts.map((text) => field.decode(text)) : field.decode(first)
    )
  }
  for (const key of kind.required) {
    if (values[key] === undefined) {
      throw new FormatError({
        format: "configuration",
        offset: 0,
        expected: `a value for ${key}`,
        found: "none"
      })
    }
  }
  const decoded = values as Values<F>
  kind.check?.(decoded)
  return decoded
}

/** The entry that a section is. */
export const entryOf = <F extends Fields>(
  kind: Kind<F>,
  folder: string,
  section: Section
): Effect.Effect<Entry<F>, ConfigError> =>
  attempt(() => ({ id: section.id, values: valuesIn(kind, section), section })).pipe(
    Effect.mapError(
      ({ expected, found }) =>
        new ConfigError({
          subject: pathIn(kind, folder),
          detail: `section "${titleOf(section)}": expected ${expected}, found ${found}`,
          hint: "correct it"
        })
    )
  )

/** What programs read of an entry: its values by their names; property strings and what is unknown as they stand. */
export const toJson = <F extends Fields>(kind: Kind<F>, { id, section, values }: Entry<F>) => {
  const all: Record<string, unknown> = { [kind.sectionType === "datastore" ? "name" : "id"]: id }
  for (const { key, value } of section.properties) {
    const decoded: unknown = values[key]
    all[key] ??= typeof decoded === "object" && !Array.isArray(decoded) ? value : (decoded ?? value)
  }
  return all
}

const isOf = <F extends Fields>(kind: Kind<F>, section: Section): boolean => section.type === kind.sectionType

/** All entries in the order of the file, and the file's digest. */
export const list = <F extends Fields>(
  kind: Kind<F>,
  folder: string
): Effect.Effect<{ readonly entries: ReadonlyArray<Entry<F>>; readonly digest: string }, Failure, Files> =>
  Effect.gen(function* () {
    const { digest, sections } = yield* ConfigFolder.load(fileOf(kind, folder))
    const own = sections.filter((section) => isOf(kind, section))
    return { digest, entries: yield* Effect.forEach(own, (section) => entryOf(kind, folder, section)) }
  })

/** Says that there is none of this name, and which one may have been meant. */
export const missing = <F extends Fields>(
  kind: Kind<F>,
  folder: string,
  id: string,
  known: ReadonlyArray<string>
): ConfigError => {
  const near = nearest(id, known)
  return new ConfigError({
    subject: id,
    detail:
      `there is no such ${kind.what} in ${pathIn(kind, folder)}` +
      (near === undefined ? "" : `; did you mean ${near}?`),
    hint: `list them with: ${kind.command} list; make it with: ${kind.command} create ${id}`
  })
}

/** The entry of this name; fails when there is none. */
export const get = <F extends Fields>(
  kind: Kind<F>,
  folder: string,
  id: string
): Effect.Effect<Entry<F>, Failure, Files> =>
  Effect.gen(function* () {
    const sections = yield* ConfigFolder.read(fileOf(kind, folder))
    const own = sections.filter((section) => isOf(kind, section))
    const found = own.find((section) => section.id === id)
    if (found !== undefined) return yield* entryOf(kind, folder, found)
    return yield* missing(
      kind,
      folder,
      id,
      own.map((section) => section.id)
    )
  })

/** The section with these texts; a key that is none of the kind's is refused. */
export const withTexts = <F extends Fields>(kind: Kind<F>, section: Section, texts: Texts<F>): Section =>
  Object.entries(texts).reduce((changed, [key, given]) => {
    if (given === undefined) return changed
    if (kind.fields[key] === undefined) {
      const found = JSON.stringify(key)
      throw new FormatError({
        format: "configuration",
        offset: 0,
        expected: `a key of a ${kind.what}`,
        found
      })
    }
    const values = (typeof given === "string" ? [given] : given).map((text) => text.trim())
    return withValues(
      changed,
      key,
      values.filter((text) => text !== "")
    )
  }, section)

/** The section as it will be, proven. */
const revised = <F extends Fields>(kind: Kind<F>, section: Section, texts: Texts<F>) =>
  attempt(() => {
    const changed = withTexts(kind, section, texts)
    return { id: changed.id, section: changed, values: valuesIn(kind, changed) }
  }).pipe(
    Effect.mapError(
      ({ expected, found }) =>
        new ConfigError({
          subject: `${kind.what} ${section.id}`,
          detail: `expected ${expected}, found ${found}`,
          hint: "correct the value"
        })
    )
  )

/** What is asked of others before an entry is written: may fail. */
export type Approval<F extends Fields, E, R> = (
  entry: Entry<F>,
  others: ReadonlyArray<Section>
) => Effect.Effect<unknown, E, R>

/** Adds an entry; refuses a name that is taken. `approve` is asked under the file's lock. */
export const create = <F extends Fields, E = never, R = never>(
  kind: Kind<F>,
  folder: string,
  id: string,
  texts: Texts<F>,
  approve?: Approval<F, E, R>
): Effect.Effect<void, Failure | E, Files | FileLocks | R> =>
  ConfigFolder.change(fileOf(kind, folder), (sections) =>
    Effect.gen(function* () {
      if (!isId(id)) {
        const detail = `this is no name for a ${kind.what}: expected ${idRule}`
        return yield* new ConfigError({ subject: JSON.stringify(id), detail, hint: "choose another name" })
      }
      const taken = sections.find((section) => section.id === id)
      if (taken !== undefined) {
        const detail = `${pathIn(kind, folder)} has a section of this name (${titleOf(taken)})`
        const hint = `change it with: ${kind.command} update ${id}`
        return yield* new ConfigError({ subject: id, detail, hint })
      }
      const entry = yield* revised(kind, { type: kind.sectionType, id, properties: [] }, texts)
      if (approve !== undefined) yield* approve(entry, sections)
      return [...sections, entry.section]
    })
  )

export interface UpdateOptions<F extends Fields, E, R> extends ConfigFolder.ChangeOptions {
  /** Asked under the file's lock. */
  readonly approve?: Approval<F, E, R>
}

/** Changes some values. */
export const update = <F extends Fields, E = never, R = never>(
  kind: Kind<F>,
  folder: string,
  id: string,
  change: Texts<F> | ((section: Section) => Texts<F>),
  { approve, digest }: UpdateOptions<F, E, R> = {}
): Effect.Effect<void, Failure | E, Files | FileLocks | R> =>
  ConfigFolder.change(
    fileOf(kind, folder),
    (sections) =>
      Effect.gen(function* () {
        const own = sections.filter((section) => isOf(kind, section))
        const section = own.find((candidate) => candidate.id === id)
        if (section === undefined) {
          return yield* missing(
            kind,
            folder,
            id,
            own.map((candidate) => candidate.id)
          )
        }
        const entry = yield* revised(kind, section, typeof change === "function" ? change(section) : change)
        const others = sections.filter((candidate) => candidate !== section)
        if (approve !== undefined) yield* approve(entry, others)
        return sections.map((candidate) => (candidate === section ? entry.section : candidate))
      }),
    { digest }
  )

/** Takes an entry out of the file. */
export const remove = <F extends Fields>(
  kind: Kind<F>,
  folder: string,
  id: string,
  options: ConfigFolder.ChangeOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> =>
  ConfigFolder.change(
    fileOf(kind, folder),
    (sections) => {
      const own = sections.filter((section) => isOf(kind, section))
      const found = own.find((section) => section.id === id)
      if (found !== undefined) return Effect.succeed(sections.filter((section) => section !== found))
      return Effect.fail(
        missing(
          kind,
          folder,
          id,
          own.map((section) => section.id)
        )
      )
    },
    options
  )
