/**
 * StorageError: trouble with what holds a datastore, as distinct from what is in it (`StoreError`): the file system, or
 * the bucket behind a cache folder. Everything that may reach either fails with this union.
 */
import type { ObjectStoreError } from "../objectstore/ObjectStoreError.ts"
import type { FilesError } from "../platform/Files.ts"

export type StorageError = FilesError | ObjectStoreError
