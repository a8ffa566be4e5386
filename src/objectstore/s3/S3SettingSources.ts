/**
 * Where the texts of S3 settings come from: what the caller has (options, a section of a configuration file), a file
 * with the keys, the environment. What stands further left in this list wins.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Files, type FilesError } from "../../platform/Files.ts"
import { decode, type S3Settings, type SettingName, settingNames, type SettingTexts } from "./S3Settings.ts"
import { S3SettingsError, variableOf } from "./S3SettingsError.ts"

const keyFileMaxBytes = 64 * 1024

const keyLine = /^(access-key|secret-key)(?:\s*[:=]\s*|\s+)(\S+)$/

/** Lines `access-key KEY` and `secret-key KEY`, with a colon or an equals sign between if you like; `#` comments. */
export const decodeKeys = (content: string): SettingTexts => {
  const texts: { [name in SettingName]?: string } = {}
  for (const [index, line] of content.split("\n").entries()) {
    const text = line.trim()
    if (text === "" || text.startsWith("#")) continue
    const [, name, key] = keyLine.exec(text) ?? []
    if (name !== "access-key" && name !== "secret-key") {
      throw new S3SettingsError({
        setting: "key file",
        expected: `"access-key KEY" or "secret-key KEY" in line ${index + 1}`,
        advice: "write one line for each of the two keys"
      })
    }
    texts[name] = key ?? ""
  }
  return texts
}

const settled = <A>(decoded: () => A): Effect.Effect<A, S3SettingsError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(decoded())
    } catch (error) {
      return error instanceof S3SettingsError ? Effect.fail(error) : Effect.die(error)
    }
  })

/** The keys that a file holds. */
export const readKeys = (path: string): Effect.Effect<SettingTexts, S3SettingsError | FilesError, Files> =>
  Effect.gen(function* () {
    const content = yield* (yield* Files).readFile(path, keyFileMaxBytes)
    return yield* settled(() => decodeKeys(new TextDecoder().decode(content)))
  })

/** What `GRANARY_S3_ACCESS_KEY`, `GRANARY_S3_ENDPOINT` and so on hold. */
export const fromEnvironment: Effect.Effect<SettingTexts, S3SettingsError> = Effect.gen(function* () {
  const texts: { [name in SettingName]?: string } = {}
  for (const name of settingNames) {
    const variable = variableOf(name)
    const found = yield* Config.option(Config.String(variable)).pipe(
      Effect.mapError(
        () =>
          new S3SettingsError({
            setting: name,
            expected: `a readable ${variable}`,
            advice: `set ${variable} to plain text`
          })
      )
    )
    if (Option.isSome(found)) texts[name] = found.value
  }
  return texts
})

const given = (texts: SettingTexts): SettingTexts =>
  Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text.trim() !== ""))

export interface LoadOptions {
  /** Holds the two keys. */
  readonly keyFile?: string
}

/** Complete settings from all sources. */
export const load = (
  texts: SettingTexts,
  options: LoadOptions = {}
): Effect.Effect<S3Settings, S3SettingsError | FilesError, Files> =>
  Effect.gen(function* () {
    const environment = yield* fromEnvironment
    const keys = options.keyFile === undefined ? {} : yield* readKeys(options.keyFile)
    return yield* settled(() => decode({ ...given(environment), ...given(keys), ...given(texts) }))
  })
