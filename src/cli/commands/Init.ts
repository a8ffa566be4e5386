/** `granary init PATH`: makes an empty datastore in a folder, or in a bucket with PATH as its cache folder. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as Datastore from "../../datastore/Datastore.ts"
import * as NodePlatform from "../../platform/NodePlatform.ts"
import { creationProgress } from "../creationProgress.ts"
import { parseInput, UsageError } from "../Failure.ts"
import { print } from "../Output.ts"
import { repository } from "../Repository.ts"
import type { S3Place } from "../RepositoryName.ts"
import { root } from "../Root.ts"
import * as Sizes from "../Sizes.ts"

/** Makes the datastore and shows how far it is. */
export const createDatastore = (folder: string) =>
  Effect.gen(function* () {
    yield* Datastore.create(folder, yield* creationProgress(folder))
    return path.resolve(folder)
  }).pipe(Effect.provide(NodePlatform.layer))

const flags = {
  path: Argument.String("path").pipe(
    Argument.withDescription(
      "Folder of the new datastore, or cache folder of one in a bucket (default --cache): missing or empty"
    ),
    Argument.optional
  ),
  backend: Flag.Literals("backend", ["filesystem", "s3"]).pipe(
    Flag.withDescription("Where chunks and snapshots are kept (default filesystem)"),
    Flag.optional
  ),
  reuse: Flag.Boolean("reuse").pipe(
    Flag.withDescription("Take over the datastore that is in the bucket"),
    Flag.withDefault(false)
  ),
  overwriteInUse: Flag.Boolean("overwrite-in-use").pipe(
    Flag.withDescription("Go on although another host has marked it as in use"),
    Flag.withDefault(false)
  ),
  maxCacheSize: Flag.String("max-cache-size").pipe(
    Flag.withDescription(
      "Chunk content that the cache folder keeps, such as 20GiB; by default what there is room for"
    ),
    Flag.withMetavar("BYTES"),
    Flag.optional
  )
}

const noPath = new UsageError({ detail: "no folder was named", hint: "granary init PATH" })

const notInBucket = new UsageError({
  detail: "--reuse, --overwrite-in-use and --max-cache-size are for datastores in buckets",
  hint: "add --backend s3 and --repository s3:ENDPOINT-ID/BUCKET/STORE"
})

const noBucket = new UsageError({
  detail: "--backend s3 needs to know the bucket",
  hint: "name it with --repository s3:ENDPOINT-ID/BUCKET/STORE"
})

type Input = Command.Command.Config.Infer<typeof flags>

/** The store in a bucket that is meant; undefined for a folder. */
const placeOf = ({ backend, path: folder }: Input) =>
  Effect.gen(function* () {
    const kind = Option.getOrUndefined(backend)
    const named = Option.isSome((yield* root).repository) ? yield* repository : undefined
    if (named?.kind === "s3")
      return kind === "s3" || (kind === undefined && Option.isNone(folder)) ? named : undefined
    return kind === "s3" ? yield* noBucket : undefined
  })

const inFolder = (input: Input) =>
  Effect.gen(function* () {
    if (input.reuse || input.overwriteInUse || Option.isSome(input.maxCacheSize)) return yield* notInBucket
    if (Option.isNone(input.path)) return yield* noPath
    const made = yield* createDatastore(input.path.value)
    const text = `made an empty datastore in ${made}\nback up into it with: granary backup -r ${made} home.pxar:/home`
    yield* print({ json: { path: made, backend: "filesystem" }, text })
  })

const inBucket = (place: S3Place, input: Input) =>
  Effect.gen(function* () {
    const { maxCacheSize, overwriteInUse, reuse } = input
    const size = Option.isSome(maxCacheSize)
      ? { maxCacheBytes: yield* parseInput(() => Sizes.parse(maxCacheSize.value)) }
      : {}
    const { createInBucket } = yield* Effect.promise(() => import("../S3Creation.ts"))
    const folder = Option.map(input.path, (text) => path.resolve(text))
    const made = yield* createInBucket(place, { folder, overwriteInUse, reuse, ...size })
    yield* print({ json: { path: made.folder, backend: "s3", ...made.json }, text: made.text })
  })

export const init = Command.make("init", flags, (input) =>
  Effect.gen(function* () {
    const place = yield* placeOf(input)
    yield* place === undefined ? inFolder(input) : inBucket(place, input)
  })
).pipe(
  Command.withDescription("Make an empty datastore in a folder or a bucket"),
  Command.withExamples([
    { command: "granary init /mnt/backup/store", description: "Make a datastore on a disk" },
    {
      command: "granary init --backend s3 -r s3:minio/backups/store --max-cache-size 20GiB",
      description: "Make one in a bucket, with the usual cache folder"
    },
    {
      command: "granary init --backend s3 -r s3:minio/backups/store --reuse --overwrite-in-use",
      description: "Make a cache folder for one that is there, on one more machine"
    }
  ])
)
