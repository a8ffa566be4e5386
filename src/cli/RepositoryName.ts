/**
 * RepositoryName: what `--repository` says: a folder, the name of a configured datastore, or
 * `s3:ENDPOINT-ID/BUCKET/STORE`, or `USER@REALM!TOKEN@HOST:PORT:STORE` on a server.
 *
 * Invariant: a word without a slash is a name; that a folder of this name is meant can only be told by looking.
 */
import * as SafeId from "../model/SafeId.ts"
import { refuse } from "../model/InvalidName.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"

/** A store in a bucket. */
export interface S3Place {
  readonly kind: "s3"
  /** By its name in the configuration. */
  readonly endpoint: string
  readonly bucket: string
  readonly store: string
}

export interface FolderPlace {
  readonly kind: "folder"
  readonly path: string
}

/** A datastore that the configuration knows. */
export interface ConfiguredPlace {
  readonly kind: "name"
  readonly name: string
}

/** A datastore on a Proxmox Backup Server, or one that `granary serve` serves. */
export interface RemotePlace {
  readonly kind: "remote"
  readonly address: RemoteAddress.RemoteAddress
}

export type RepositoryName = FolderPlace | ConfiguredPlace | S3Place | RemotePlace

export const form =
  "write a folder, the name of a configured datastore, s3:ENDPOINT-ID/BUCKET/STORE, or USER@REALM!TOKEN@HOST:STORE"

const s3Scheme = "s3:"

/** `ENDPOINT-ID/BUCKET` and, where there is one, `/STORE`. */
export const parseBucket = (text: string): Omit<S3Place, "store" | "kind"> & { readonly store?: string } => {
  const [endpoint = "", bucket = "", store, ...more] = text.replace(/^s3:/, "").split("/")
  if (bucket === "" || more.length > 0) {
    return refuse("bucket", text, "ENDPOINT-ID/BUCKET or ENDPOINT-ID/BUCKET/STORE")
  }
  return {
    endpoint: SafeId.check("endpoint", endpoint),
    bucket: SafeId.check("bucket", bucket),
    ...(store === undefined ? {} : { store: SafeId.check("datastore name", store) })
  }
}

/** Throws `InvalidName`. */
export const parse = (text: string): RepositoryName => {
  if (RemoteAddress.looksLikeOne(text)) return { kind: "remote", address: RemoteAddress.parse(text) }
  if (!text.startsWith(s3Scheme)) {
    return SafeId.isSafeId(text) ? { kind: "name", name: text } : { kind: "folder", path: text }
  }
  const { endpoint, bucket, store } = parseBucket(text)
  return store === undefined
    ? refuse("repository", text, "s3:ENDPOINT-ID/BUCKET/STORE")
    : { kind: "s3", endpoint, bucket, store }
}

export const format = ({ endpoint, bucket, store }: S3Place): string => `s3:${endpoint}/${bucket}/${store}`
