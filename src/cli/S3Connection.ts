/**
 * S3Connection: from the names that people type to an open bucket: its settings from the flags, the configuration and
 * the environment, and the bucket with everything around it: retries, limits, the budget, the meter.
 *
 * Loaded only when a store is in a bucket, because what it needs takes longer to load than most commands run.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Endpoints from "../config/Endpoints.ts"
import { makeMeter } from "../objectstore/decorators/metered.ts"
import { connectS3 } from "../objectstore/s3/connectS3.ts"
import type { S3Settings, SettingTexts } from "../objectstore/s3/S3Settings.ts"
import * as S3SettingSources from "../objectstore/s3/S3SettingSources.ts"
import { Files } from "../platform/Files.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import { configFolder } from "./ConfigFlag.ts"
import { parseInput } from "./Failure.ts"
import { root } from "./Root.ts"
import * as S3Budget from "./S3Budget.ts"
import * as S3Flags from "./S3Flags.ts"
import { StoreUsage } from "./StoreUsage.ts"

const fileMaxBytes = 64 * 1024

/** A file that holds nothing but the secret key, or one with a line for each of the two keys. */
export const readKeyFile = (path: string) =>
  Effect.gen(function* () {
    const content = new TextDecoder().decode(yield* (yield* Files).readFile(path, fileMaxBytes)).trim()
    const texts: SettingTexts = /^\S+$/.test(content)
      ? { "secret-key": content }
      : yield* S3SettingSources.readKeys(path)
    return texts
  })

/** What the command line says of S3 settings. */
export const flagTexts = Effect.gen(function* () {
  const input = yield* root
  const keys = Option.isNone(input.s3SecretKeyFile) ? {} : yield* readKeyFile(input.s3SecretKeyFile.value)
  const texts: SettingTexts = { ...keys, ...S3Flags.textsOf(input) }
  return texts
})

/** What is known of an endpoint by its name; nothing about one that the command line or the environment tells. */
const configured = (id: string, flags: SettingTexts) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const found = yield* Endpoints.find(folder, id)
    if (found !== undefined) return found.texts
    const environment = yield* S3SettingSources.fromEnvironment
    const isTold = (flags.endpoint ?? environment.endpoint ?? "").trim() !== ""
    return isTold ? {} : (yield* Endpoints.get(folder, id)).texts
  })

/** The settings of a bucket at an endpoint: from the flags, else from the configuration, else from the environment. */
export const settingsOf = (endpoint: string, bucket: string) =>
  Effect.gen(function* () {
    const flags = yield* flagTexts
    const section = yield* configured(endpoint, flags)
    return yield* S3SettingSources.load({ ...section, ...flags, bucket })
  }).pipe(Effect.provide(NodeFiles.layer))

const budgetOf = Effect.gen(function* () {
  const { s3Budget } = yield* root
  if (Option.isNone(s3Budget)) return {}
  return { budget: yield* parseInput(() => S3Budget.parse(s3Budget.value)) }
})

/** What reads a price table takes a while to load. */
const pricesOf = Effect.gen(function* () {
  const { prices: path } = yield* root
  if (Option.isNone(path)) return undefined
  const { prices } = yield* Effect.promise(() => import("./Prices.ts"))
  return yield* Effect.provide(prices(path.value), NodeFiles.layer)
})

/** How this run of the program reaches buckets: counted, limited, within the budget. */
export const connecting = Effect.gen(function* () {
  const usage = yield* StoreUsage
  usage.prices ??= yield* pricesOf
  const options = { meter: (usage.meter ??= yield* makeMeter), ...(yield* budgetOf) }
  return (settings: S3Settings) => connectS3(settings, options)
})

/** The bucket as it is (counted, limited, within the budget), and with retries. */
export const connectBoth = (settings: S3Settings) =>
  Effect.flatMap(connecting, (connect) => connect(settings))

/** The bucket as commands use it. */
export const connect = (settings: S3Settings) => Effect.map(connectBoth(settings), ({ patient }) => patient)
