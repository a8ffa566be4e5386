/**
 * BackendFlags: where a new datastore is kept, as users say it: by flags of their own, or as one text in the form in
 * which the configuration keeps it.
 *
 * Invariant: what comes of both is the same text; whether its values are sound is for the configuration to say.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { UsageError } from "./Failure.ts"
import * as SectionFlags from "./SectionFlags.ts"

export const flags = {
  backend: SectionFlags.text(
    "backend",
    "Where it is kept: filesystem (default), s3, or all in one: type=s3,client=ENDPOINT-ID,bucket=BUCKET",
    "BACKEND"
  ),
  endpoint: SectionFlags.text("endpoint", "Of one in a bucket: the server, by its id", "ENDPOINT-ID"),
  bucket: SectionFlags.text("bucket", "Of one in a bucket: the bucket", "BUCKET"),
  maxCacheSize: Flag.String("max-cache-size").pipe(
    Flag.withDescription("Of one in a bucket: how much the cache folder may hold, such as 20GiB"),
    Flag.withMetavar("BYTES"),
    Flag.optional
  )
} as const

export type Given = {
  readonly [key in keyof typeof flags]: Option.Option<string>
}

const example = "add --backend s3 --endpoint ENDPOINT-ID --bucket BUCKET"

const usage = (detail: string, hint = example): UsageError => new UsageError({ detail, hint })

/** A comma or an equals sign in a value would make it another setting. */
const isPlain = (value: string): boolean => /^[^,=]+$/.test(value)

/** The text of the key `backend`; none for a folder without a word about it. */
export const textOf = (given: Given): Effect.Effect<Option.Option<string>, UsageError> =>
  Effect.gen(function* () {
    const { backend } = given
    const pairs = Object.entries({
      client: given.endpoint,
      bucket: given.bucket,
      "max-cache-size": given.maxCacheSize
    }).flatMap(([key, value]) => (Option.isSome(value) ? [{ key, value: value.value }] : []))
    const type = Option.getOrElse(backend, () => (pairs.length > 0 ? "s3" : "filesystem"))
    if (type !== "s3") {
      if (pairs.length === 0) return backend
      return yield* usage("--endpoint, --bucket and --max-cache-size are for datastores in buckets")
    }
    if (Option.isNone(given.endpoint)) return yield* usage("the server of the bucket is missing")
    if (Option.isNone(given.bucket)) return yield* usage("the bucket is missing")
    const odd = pairs.find(({ value }) => !isPlain(value))
    if (odd !== undefined) return yield* usage(`${odd.value}: expected a plain value, without commas`)
    return Option.some(["type=s3", ...pairs.map(({ key, value }) => `${key}=${value}`)].join(","))
  })
