/**
 * S3ObjectStore against Ceph's object gateway, where its programs are installed: the conformance suite on a part of
 * the bucket that each test has to itself, the probe, and the errors whose words only a real server knows.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CapabilityProbe from "../../../src/objectstore/CapabilityProbe.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import type { SettingTexts } from "../../../src/objectstore/s3/S3Settings.ts"
import * as NodePlatform from "../../../src/platform/NodePlatform.ts"
import { reasonOf } from "../../conformance/objectStoreSubject.ts"
import { objectStoreSuite } from "../../conformance/objectStoreSuite.ts"
import * as Rgw from "../../s3/Rgw.ts"
import { settingsOf } from "./buckets.ts"

let scenes = 0

const storeWith = (more: SettingTexts = {}) =>
  Effect.flatMap(Rgw.shared, (place) => S3ObjectStore.make(settingsOf(place, more))).pipe(Effect.orDie)

const sceneWith = (more: SettingTexts = {}) =>
  Effect.gen(function* () {
    scenes += 1
    return {
      store: yield* storeWith(more),
      other: yield* storeWith(more),
      prefix: ObjectKey.parsePrefix(`conformance-${scenes}/`)
    }
  })

const key = ObjectKey.parse("elsewhere/a")

if (Rgw.available || Rgw.needed) {
  objectStoreSuite("S3ObjectStore on a real server", {
    scene: sceneWith(),
    missingBucket: storeWith({ bucket: "no-such-bucket" }),
    has: { other: true }
  })
  objectStoreSuite("S3ObjectStore on a real server, deleting one by one", {
    scene: sceneWith({ "provider-quirks": "delete-objects-via-delete-object" }),
    missingBucket: storeWith({
      bucket: "no-such-bucket",
      "provider-quirks": "delete-objects-via-delete-object"
    }),
    has: { other: true }
  })
}

describe.skipIf(!Rgw.available && !Rgw.needed)("a real server", () => {
  it.live(
    "does what a datastore needs, by the probe's verdicts",
    () =>
      Effect.gen(function* () {
        const store = yield* storeWith()
        const report = yield* CapabilityProbe.probe(ObjectKey.parsePrefix("probed/")).pipe(
          Effect.provideService(ObjectStore, store)
        )
        assert.deepStrictEqual(
          report.verdicts.filter(({ ok }) => !ok),
          []
        )
      }).pipe(Effect.provide(NodePlatform.layer)),
    60_000
  )

  it.live(
    "refuses wrong keys in words that we know",
    () =>
      Effect.gen(function* () {
        const prefix = ObjectKey.everything
        const unknown = yield* storeWith({ "access-key": "nobody" })
        assert.strictEqual(yield* reasonOf(unknown.list({ prefix })), "WrongKeys")
        assert.strictEqual(yield* reasonOf(unknown.head(key)), "AccessDenied")
        const wrong = yield* storeWith({ "secret-key": "wrong" })
        assert.strictEqual(yield* reasonOf(wrong.put(key, new Uint8Array(1))), "WrongKeys")
      }),
    60_000
  )
})
