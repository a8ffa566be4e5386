/**
 * What opening a datastore in a bucket needs, as one module: it is loaded late, for it takes longer than all the rest.
 */
export * as CacheBound from "../config/CacheBound.ts"
export * as BucketReading from "../datastore/BucketReading.ts"
export * as connecting from "../objectstore/s3/connectS3.ts"
export * as StoreBucket from "../store/bucket/StoreBucket.ts"
