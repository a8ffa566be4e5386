/**
 * ServerClock: how far the server's clock is from ours, measured before anything is judged by its times. The sweep can
 * reckon with a difference that it knows; when that is large, or nobody can tell how large, nothing is swept: a host
 * whose clock is wrong by an hour may well be wrong by a day tomorrow.
 *
 * It is measured on an object of ours, `<store>/.granary/clock`, which is written anew by every collection and stays.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ClockSkew from "../../objectstore/ClockSkew.ts"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreBucket from "../../store/bucket/StoreBucket.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"

const skewMaxSeconds = 300

/** A slow answer leaves the bounds wide; another one may be quicker. */
const samplesMax = 3

const takeSample = (
  bucket: StoreBucket.StoreBucket
): Effect.Effect<ClockSkew.ClockSample, ObjectStoreError> =>
  Effect.gen(function* () {
    const key = ObjectKey.join(StoreBucket.granaryPrefix(bucket), "clock")
    const beginMillis = yield* Clock.currentTimeMillis
    yield* bucket.objects.put(key, new Uint8Array(0))
    const endMillis = yield* Clock.currentTimeMillis
    const { lastModifiedSeconds } = yield* bucket.objects.head(key)
    return { beginMillis, endMillis, storeSeconds: lastModifiedSeconds }
  })

/** Fails with `Refused` when the difference is too large or unknown. */
export const measure = (
  bucket: StoreBucket.StoreBucket
): Effect.Effect<ClockSkew.ClockSkew, ObjectStoreError | StoreError> =>
  Effect.gen(function* () {
    const samples: Array<ClockSkew.ClockSample> = []
    let skew: ClockSkew.ClockSkew | undefined
    while (samples.length < samplesMax) {
      samples.push(yield* takeSample(bucket))
      skew = ClockSkew.measure(samples)
      if (skew !== undefined && ClockSkew.worstSeconds(skew) <= skewMaxSeconds) return skew
    }
    const found =
      skew === undefined
        ? "one of the clocks of the server and this machine was set just now"
        : `the server's clock is ${ClockSkew.format(skew)} ahead of this machine's`
    const detail = `${found}, so nobody knows what is old; at most ${skewMaxSeconds} s are good, nothing was removed`
    return yield* storeError("Refused", bucket.title, detail)
  })
