/**
 * What opening a datastore in a bucket needs, as one module: it is loaded late, for it takes longer than all the rest.
 */
export { openInBucket } from "../datastore/openInBucket.ts"
export * as connecting from "../objectstore/s3/connectS3.ts"
export * as StoreBucket from "../store/bucket/StoreBucket.ts"
