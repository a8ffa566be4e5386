/** R20 of the race ledger: the scenarios, and whatever names a manifest may give. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import * as path from "node:path"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import { backUp, begin, collect, forget, verify } from "./harness/actors.ts"
import { guarded } from "./harness/Mutation.ts"
import { seed } from "./harness/Row.ts"
import { testRow } from "./harness/testRow.ts"
import { digestOfText, runAlone, startMillis, World } from "./harness/World.ts"
import { crafted, escapingName, R20, readAll, secretPath, storeWith } from "./rows/R20.ts"

testRow(R20)

const parts = ["..", ".", "/", "\\", "\0", "\n", "\u202e", "\ud800", "é", "a", "host", "secret.conf", " "]

/** Names that try to be paths, and such as are nearly good. */
const names = fc
  .tuple(
    fc.array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 3 })), { maxLength: 6 }),
    fc.constantFrom(".blob", ".didx", ".fidx", "", ".conf.blob")
  )
  .map(([pieces, extension]) => pieces.join("") + extension)

const accepted = (name: string): boolean => {
  try {
    return ArchiveName.fromFile(name).file === name
  } catch (error) {
    if (error instanceof InvalidName) return false
    throw error
  }
}

const folder = "/store/host/a/snapshot"

describe("R20: whatever the name", () => {
  it("a name that is accepted is a file right in the snapshot's folder, and no hidden one", () => {
    fc.assert(
      fc.property(names, (name) => {
        if (!accepted(name)) return
        const place = path.posix.join(folder, name)
        assert.strictEqual(path.posix.dirname(place), folder)
        assert.strictEqual(path.posix.basename(place), name)
        assert.notInclude(name, "\0")
        assert.isFalse(name.startsWith("."))
      }),
      { seed, numRuns: 2000, examples: [[escapingName], ["a/b.blob"], ["..blob"]] }
    )
    assert.isFalse(accepted(escapingName))
    assert.isTrue(accepted("secret.conf.blob"))
  })

  it("nobody who works on the snapshot reads, changes or removes anything outside of it, or breaks down", () => {
    const works = {
      restore: () => readAll,
      verify: () => verify(),
      backup: () => backUp(undefined, { time: startMillis / 1000, contents: ["base"] }),
      gc: () => collect(),
      forget: (world: World) => forget(world, crafted)
    }
    const check = (name: string, work: keyof typeof works) => {
      const disk = storeWith([name])
      const before = disk.stat(secretPath).content
      const exit = runAlone(disk, works[work](new World(disk, { mutation: guarded })), { startMillis })
      assert.isFalse(Exit.isFailure(exit) && Cause.hasDies(exit.cause), `${work}: ${String(exit)}`)
      if (work === "restore") {
        assert.isTrue(Exit.isFailure(exit), `${JSON.stringify(name)}: there is no such file in the snapshot`)
      }
      if (work === "backup" || work === "gc") assert.isTrue(Exit.isSuccess(exit), String(exit))
      assert.strictEqual(disk.stat(secretPath).content, before)
    }
    const kinds = fc.constantFrom(...(Object.keys(works) as ReadonlyArray<keyof typeof works>))
    fc.assert(fc.property(names, kinds, check), { seed, numRuns: 150 })
    for (const work of ["restore", "verify", "backup", "gc", "forget"] as const) check(escapingName, work)
  })

  it("a session takes no file for the manifest, and finishes once what it named is stored", () => {
    const disk = storeWith([])
    const line = { cryptMode: "none" as const, sizeBytes: 1, csum: digestOfText("content") }
    const work = Effect.gen(function* () {
      const session = yield* begin({ time: startMillis / 1000, contents: ["base"] })
      const own = yield* Effect.flip(session.addFile({ ...line, filename: ArchiveName.manifestFile }))
      assert.deepInclude(own, { reason: "Refused", subject: ArchiveName.manifestFile })
      yield* session.addFile({ ...line, filename: "late.conf.blob" })
      const early = yield* Effect.flip(session.finish)
      assert.include(early.message, "late.conf.blob: this archive was named and never stored")
      const { namespace, snapshot } = session
      yield* session.datastore.snapshotFiles.write(namespace, snapshot, "late.conf.blob", Buffer.from("x"))
      yield* session.finish
    })
    const exit = runAlone(disk, work, { startMillis })
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })
})
