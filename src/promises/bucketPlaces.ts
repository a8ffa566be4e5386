/**
 * Where a datastore in a bucket is, for the Promise facade: the server's settings as plain values, and how they become
 * an open bucket. What is not given comes from the environment (`GRANARY_S3_ENDPOINT`, `GRANARY_S3_ACCESS_KEY`, ...),
 * so that keys need not be in a program.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import type { ConfigError } from "../config/ConfigError.ts"
import type * as Datastore from "../datastore/Datastore.ts"
import { openInBucket } from "../datastore/openInBucket.ts"
import type { InvalidName } from "../model/InvalidName.ts"
import type { BudgetLimits } from "../objectstore/decorators/Budget.ts"
import { connectS3, deleteBatchSizeOf } from "../objectstore/s3/connectS3.ts"
import { hostOf, type Quirk, type S3Settings, type SettingName } from "../objectstore/s3/S3Settings.ts"
import type { S3SettingsError } from "../objectstore/s3/S3SettingsError.ts"
import * as S3SettingSources from "../objectstore/s3/S3SettingSources.ts"
import type { Files } from "../platform/Files.ts"
import type { SyncLevel } from "../store/ChunkStore.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import { parsed } from "./names.ts"

/** A bucket and its server. All but the bucket may come from the environment. */
export interface S3Options {
  readonly bucket: string
  /** A host, with its port if that is not the usual one; may hold `{{bucket}}` and `{{region}}`. */
  readonly endpoint?: string
  readonly port?: number
  /** `auto` for providers that have only one. Default `us-west-1`. */
  readonly region?: string
  /** The bucket's name begins the path instead of the host's name. Default false. */
  readonly pathStyle?: boolean
  readonly accessKey?: string
  readonly secretKey?: string
  /** A file with lines `access-key KEY` and `secret-key KEY`. */
  readonly keyFile?: string
  /** SHA-256 of the server's certificate, to trust it although the system does not. */
  readonly fingerprint?: string
  /** Allows plain http to other machines: whoever listens can read everything. Default false. */
  readonly insecureHttp?: boolean
  readonly putsPerSecond?: number
  readonly rateInBytesPerSecond?: number
  readonly burstInBytes?: number
  readonly rateOutBytesPerSecond?: number
  readonly burstOutBytes?: number
  /** What the provider cannot do. */
  readonly quirks?: ReadonlyArray<Quirk>
}

/** A datastore in a bucket. */
export interface BucketPlace {
  readonly s3: S3Options
  /** The datastore's name, with which all its keys begin. */
  readonly store: string
  /** Belongs to this datastore and this machine. Without one the datastore can only be read. */
  readonly cacheFolder?: string
  /** `bypass`: chunks that are read or stored leave no content in the cache folder. Default `use`. */
  readonly cache?: "use" | "bypass"
  /** What may be asked of the server, as long as the datastore is open; then calls reject before they ask for more. */
  readonly budget?: BudgetLimits
}

/** One that can be written. */
export interface CachedPlace extends BucketPlace {
  readonly cacheFolder: string
}

type PlaceError = ConfigError | InvalidName | S3SettingsError | StorageError | StoreError

const settingOf: { readonly [name in Exclude<keyof S3Options, "keyFile">]-?: SettingName } = {
  bucket: "bucket",
  endpoint: "endpoint",
  port: "port",
  region: "region",
  pathStyle: "path-style",
  accessKey: "access-key",
  secretKey: "secret-key",
  fingerprint: "fingerprint",
  insecureHttp: "insecure-http",
  putsPerSecond: "put-rate-limit",
  rateInBytesPerSecond: "rate-in",
  burstInBytes: "burst-in",
  rateOutBytesPerSecond: "rate-out",
  burstOutBytes: "burst-out",
  quirks: "provider-quirks"
}

const settingsOf = ({ keyFile, ...given }: S3Options) => {
  const values: { readonly [name: string]: unknown } = given
  const texts = Object.entries(settingOf).flatMap(([name, setting]) =>
    values[name] === undefined ? [] : [[setting, String(values[name])] as const]
  )
  return S3SettingSources.load(Object.fromEntries(texts), keyFile === undefined ? {} : { keyFile })
}

/** What people know it by, also after it has been closed. */
export const nameOf = ({ s3, store }: BucketPlace): string => `s3:${s3.bucket}/${store}`

/** The port is always there: so no name of an endpoint in somebody's configuration is like this. */
const titleOf = (settings: S3Settings, store: string): string => {
  const port = settings.port ?? (settings.scheme === "https" ? 443 : 80)
  return `s3:${hostOf(settings, undefined)}:${port}/${settings.bucket}/${store}`
}

/** Nothing is asked of the server yet. */
export const openBucket = ({
  budget,
  s3,
  store
}: BucketPlace): Effect.Effect<StoreBucket.StoreBucket, PlaceError, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const settings = yield* settingsOf(s3)
    const { patient: objects } = yield* connectS3(settings, budget === undefined ? {} : { budget })
    const title = titleOf(settings, store)
    const deleteBatchSize = deleteBatchSizeOf(settings)
    return yield* parsed(() => StoreBucket.make({ objects, name: store, title, deleteBatchSize }))
  })

/** The datastore, with its cache folder or for reading. */
export const open = (
  place: BucketPlace,
  syncLevel: SyncLevel | undefined
): Effect.Effect<Datastore.Datastore["Service"], PlaceError, Datastore.DatastoreRequirements | Scope.Scope> =>
  Effect.gen(function* () {
    const bucket = yield* openBucket(place)
    const { cache, cacheFolder } = place
    const folder = cacheFolder === undefined ? undefined : path.resolve(cacheFolder)
    return yield* openInBucket(bucket, {
      folder,
      ...(cache === undefined ? {} : { cache }),
      ...(syncLevel === undefined ? {} : { syncLevel })
    })
  })
