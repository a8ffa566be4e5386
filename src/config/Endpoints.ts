/**
 * Endpoints: the S3 servers that are known by a name, in `s3.cfg`, as Proxmox Backup Server keeps them (sections
 * `s3-endpoint`). `insecure-http` is ours.
 *
 * Invariant: what is written was accepted by `S3Settings` and can be used; keys of a section that are unknown here stay
 * as they are. Keys of the server (`access-key`, `secret-key`) are held as texts here and shown by nobody.
 */
import * as Effect from "effect/Effect"
import type * as SectionConfig from "../format/SectionConfig.ts"
import { titleOf, valuesOf, withValues } from "../format/SectionConfig.ts"
import * as SafeId from "../model/SafeId.ts"
import * as S3Settings from "../objectstore/s3/S3Settings.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"
import * as ConfigFolder from "./ConfigFolder.ts"

export interface Endpoint {
  readonly id: string
  /** Without a bucket. */
  readonly texts: S3Settings.SettingTexts
}

export type EndpointError = ConfigError | FilesError | S3Settings.S3SettingsError

const sectionType = "s3-endpoint"

const idLengthMin = 3
const idLengthMax = 32

const idRule = `${idLengthMin} to ${idLengthMax} of ${SafeId.rule}`

export const isId = (text: string): boolean =>
  SafeId.isSafeId(text) && text.length >= idLengthMin && text.length <= idLengthMax

/** The settings that an endpoint has: all but the bucket. */
export const settingNames = S3Settings.settingNames.filter((name) => name !== "bucket")

const fileIn = (folder: string): ConfigFolder.SectionFile => ({ folder, name: "s3.cfg" })

/** Where the endpoints are kept. */
export const pathIn = (folder: string): string => ConfigFolder.pathOf(fileIn(folder))

/** Settings that have several values: one line for each. */
const isList = (name: S3Settings.SettingName): boolean => name === "provider-quirks"

const isEndpoint = (section: SectionConfig.Section): boolean => section.type === sectionType

const endpointOf = (section: SectionConfig.Section): Endpoint => {
  const texts: { [name in S3Settings.SettingName]?: string } = {}
  for (const name of settingNames) {
    const values = valuesOf(section, name)
    const [first] = values
    if (first !== undefined) texts[name] = isList(name) ? values.join(",") : first
  }
  return { id: section.id, texts }
}

const split = (text: string): ReadonlyArray<string> => text.split(/[\s,;]+/).filter((part) => part !== "")

const sectionOf = (section: SectionConfig.Section, { texts }: Endpoint): SectionConfig.Section =>
  settingNames.reduce((changed, name) => {
    const text = texts[name]?.trim() ?? ""
    return withValues(changed, name, text === "" ? [] : isList(name) ? split(text) : [text])
  }, section)

/** What the other settings need to be looked at without a bucket, or without keys, which may come from elsewhere. */
const standIns = { bucket: "any-bucket", "access-key": "any", "secret-key": "any" }

const check = ({ id, texts }: Endpoint): Effect.Effect<void, ConfigError | S3Settings.S3SettingsError> =>
  Effect.gen(function* () {
    if (!isId(id)) {
      const detail = `this is no name for an endpoint: expected ${idRule}`
      return yield* new ConfigError({ subject: JSON.stringify(id), detail, hint: "choose another name" })
    }
    yield* Effect.try({
      try: () => S3Settings.decode({ ...standIns, ...given(texts) }),
      catch: (error) => {
        if (error instanceof S3Settings.S3SettingsError) return error
        throw error
      }
    })
  })

const given = (texts: S3Settings.SettingTexts): S3Settings.SettingTexts =>
  Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text.trim() !== ""))

const missing = (folder: string, id: string): ConfigError =>
  new ConfigError({
    subject: id,
    detail: `there is no such endpoint in ${pathIn(folder)}`,
    hint: `make it with: granary s3 endpoint create ${id} --endpoint HOST; or give --s3-endpoint HOST`
  })

/** All endpoints, in the order of the file. */
export const list = (
  folder: string
): Effect.Effect<ReadonlyArray<Endpoint>, ConfigError | FilesError, Files> =>
  Effect.map(ConfigFolder.read(fileIn(folder)), (sections) => sections.filter(isEndpoint).map(endpointOf))

/** The endpoint of this name; undefined when there is none. */
export const find = (
  folder: string,
  id: string
): Effect.Effect<Endpoint | undefined, ConfigError | FilesError, Files> =>
  Effect.map(list(folder), (all) => all.find((endpoint) => endpoint.id === id))

/** The endpoint of this name; fails when there is none. */
export const get = (folder: string, id: string): Effect.Effect<Endpoint, ConfigError | FilesError, Files> =>
  Effect.flatMap(find(folder, id), (endpoint) =>
    endpoint === undefined ? Effect.fail(missing(folder, id)) : Effect.succeed(endpoint)
  )

/** Adds an endpoint; refuses a name that is taken. */
export const create = (
  folder: string,
  endpoint: Endpoint
): Effect.Effect<void, EndpointError, Files | FileLocks> =>
  Effect.andThen(
    check(endpoint),
    ConfigFolder.change(fileIn(folder), (sections) => {
      const taken = sections.find(({ id }) => id === endpoint.id)
      if (taken !== undefined) {
        const detail = `${pathIn(folder)} has a section of this name (${titleOf(taken)})`
        const hint = `change it with: granary s3 endpoint update ${endpoint.id}`
        return Effect.fail(new ConfigError({ subject: endpoint.id, detail, hint }))
      }
      const empty = { type: sectionType, id: endpoint.id, properties: [] }
      return Effect.succeed([...sections, sectionOf(empty, endpoint)])
    })
  )

/** Changes some settings; an empty text takes one away. */
export const update = (
  folder: string,
  id: string,
  texts: S3Settings.SettingTexts
): Effect.Effect<void, EndpointError, Files | FileLocks> =>
  ConfigFolder.change(fileIn(folder), (sections) =>
    Effect.gen(function* () {
      const section = sections.find((candidate) => isEndpoint(candidate) && candidate.id === id)
      if (section === undefined) return yield* missing(folder, id)
      const changed = { id, texts: { ...endpointOf(section).texts, ...texts } }
      yield* check(changed)
      return sections.map((candidate) => (candidate === section ? sectionOf(section, changed) : candidate))
    })
  )

export const remove = (
  folder: string,
  id: string
): Effect.Effect<void, ConfigError | FilesError, Files | FileLocks> =>
  ConfigFolder.change(fileIn(folder), (sections) =>
    sections.some((section) => isEndpoint(section) && section.id === id)
      ? Effect.succeed(sections.filter((section) => !(isEndpoint(section) && section.id === id)))
      : Effect.fail(missing(folder, id))
  )
