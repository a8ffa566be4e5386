/**
 * MountRequest: everything that the process of a mount has to know, as plain values that cross to it, and what it
 * tells in return. Keys go this way too: never on a command line or in the environment, where others could read them.
 */
import * as Redacted from "effect/Redacted"
import type { BudgetLimits } from "../objectstore/decorators/Budget.ts"
import type { S3Settings } from "../objectstore/s3/S3Settings.ts"
import type { RemoteAddress } from "../remote/RemoteAddress.ts"
import type { VfsOptions } from "../vfs/VfsLayer.ts"
import type { DriverName, Unmounted } from "./Driver.ts"
import type { MountReason } from "./MountError.ts"

/** By which name a configuration knows the store: the mount counts as at work there as long as it lives. */
export interface ConfiguredName {
  /** The configuration folder. */
  readonly folder: string
  readonly name: string
}

export interface FolderStore {
  readonly kind: "folder"
  readonly path: string
  readonly configured?: ConfiguredName
}

export interface BucketStore {
  readonly kind: "bucket"
  readonly settings: S3Settings
  /** The datastore's name, with which all its keys begin. */
  readonly store: string
  /** What people know it by. */
  readonly title: string
  /** Without one the store is read straight from the bucket. */
  readonly cacheFolder?: string
  /** `bypass`: chunks that are read leave no content in the cache folder. Default `use`. */
  readonly cache?: "use" | "bypass"
  /** What may be asked of the server as long as it is mounted; then everything fails before more is asked. */
  readonly budget?: BudgetLimits
  readonly configured?: ConfiguredName
}

/** On a server, by the network. */
export interface RemoteStore {
  readonly kind: "remote"
  readonly address: RemoteAddress
  readonly secret: Redacted.Redacted<string>
  /** SHA-256 of the server's certificate, to trust it. */
  readonly fingerprint?: string
}

/** Where a datastore is. */
export type MountedStore = FolderStore | BucketStore | RemoteStore

export type DriverChoice = "auto" | DriverName

export interface MountOptions {
  readonly store: MountedStore
  /** An empty directory. */
  readonly mountpoint: string
  /** What the tree shows, and how. Default: the whole datastore. */
  readonly tree?: Omit<VfsOptions, "crypt">
  /** The key that decrypts: 32 bytes, `CryptConfig.encKey`. */
  readonly key?: Uint8Array
  /** Default `auto`: the better one that works here. */
  readonly driver?: DriverChoice
  /** Other users see the mount too. Default false. */
  readonly allowOther?: boolean
  /** Where the mount's process writes faults. Default: the standard error of this process. */
  readonly logFile?: string | "none"
}

type PlainSettings = Omit<S3Settings, "accessKey" | "secretKey"> & {
  readonly accessKey: string
  readonly secretKey: string
}

type PlainStore =
  | FolderStore
  | (Omit<BucketStore, "settings"> & { readonly settings: PlainSettings })
  | (Omit<RemoteStore, "secret"> & { readonly secret: string })

/** What is asked of the process. */
export interface MountRequest extends Omit<MountOptions, "store"> {
  readonly store: PlainStore
}

export type ToMount =
  | { readonly kind: "mount"; readonly request: MountRequest }
  | { readonly kind: "unmount" }
  /** The mount is to outlive whoever has asked for it. */
  | { readonly kind: "stay" }

export type FromMount =
  | { readonly kind: "ready"; readonly driver: DriverName; readonly mountpoint: string }
  | {
      readonly kind: "failed"
      readonly reason: MountReason
      readonly mountpoint: string
      readonly detail: string
      readonly hint: string
    }
  | { readonly kind: "ended"; readonly outcome: Unmounted }

export const requestOf = ({ store, ...options }: MountOptions): MountRequest => {
  if (store.kind === "folder") return { ...options, store }
  if (store.kind === "remote") {
    return { ...options, store: { ...store, secret: Redacted.value(store.secret) } }
  }
  const { accessKey, secretKey, ...settings } = store.settings
  const plain = { ...settings, accessKey: Redacted.value(accessKey), secretKey: Redacted.value(secretKey) }
  return { ...options, store: { ...store, settings: plain } }
}

/** The store of a request, with its keys covered again. */
export const storeOf = ({ store }: MountRequest): MountedStore => {
  if (store.kind === "folder") return store
  if (store.kind === "remote") return { ...store, secret: Redacted.make(store.secret) }
  const { accessKey, secretKey, ...settings } = store.settings
  const covered = { ...settings, accessKey: Redacted.make(accessKey), secretKey: Redacted.make(secretKey) }
  return { ...store, settings: covered }
}
