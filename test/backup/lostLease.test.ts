/** A backup whose lease other hosts may have given up: it does not finish, whatever it has stored. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { storeError } from "../../src/store/StoreError.ts"
import * as Writers from "../../src/store/Writers.ts"
import { group, inStore, newStore, owner } from "./stores.ts"

/** Every writer of the store has a lease that can be lost. */
const losing =
  (lease: { isLost: boolean }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) => {
    const lost = storeError("LeaseLost", "store", "it was not renewed")
    const check = Effect.suspend(() => (lease.isLost ? Effect.fail(lost) : Effect.void))
    return Effect.provideService(effect, Writers.Maker, (layout, locks, options) =>
      Writers.make(layout, locks, { ...options, onRegister: () => Effect.succeed({ check }) })
    )
  }

const backUp = (time: number, beforeFinish: Effect.Effect<void>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* BackupSession.open({ namespace: Namespace.root, group, owner, time })
      yield* session.uploadBlob(ArchiveName.fromClient("a.conf"), Buffer.from("a = 1"))
      yield* beforeFinish
      return yield* session.finish
    })
  )

describe("BackupSession and its lease", () => {
  it.live("a lost one keeps the manifest from being written", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const lease = { isLost: false }
      const lose = Effect.sync(() => {
        lease.isLost = true
      })
      const snapshots = () => readdirSync(join(base, "host", "test")).filter((name) => name.includes("T"))
      yield* Effect.gen(function* () {
        yield* backUp(1_700_000_000, Effect.void)
        assert.lengthOf(snapshots(), 1)
        const error = yield* Effect.flip(backUp(1_700_003_600, lose))
        assert.strictEqual("reason" in error ? error.reason : error, "LeaseLost")
        assert.lengthOf(snapshots(), 1)
      }).pipe(inStore(base), losing(lease))
    })
  )
})
