/** MemoryFiles and MemoryFileLocks pass the conformance suites that the implementations over Node pass. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { LockMode } from "../../src/platform/FileLocks.ts"
import { fileLocksSuite } from "../conformance/fileLocksSuite.ts"
import { filesSuite } from "../conformance/filesSuite.ts"
import { loseAll, MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../src/testing/MemoryFileLocks.ts"
import * as MemoryFiles from "../../src/testing/MemoryFiles.ts"

let folders = 0

/** A new folder of its own, flushed as everything before. */
const folderOn = (disk: MemoryDisk) =>
  Effect.sync(() => {
    const path = `/folder-${folders++}`
    disk.makeDirectory(path, 0o755, 0)
    disk.syncAll()
    return path
  })

const runSuite = (name: string, disk: MemoryDisk, options: MemoryFiles.MemoryFilesOptions = {}): void =>
  filesSuite(name, MemoryFiles.layer(disk, options), {
    folder: folderOn(disk),
    makeSymlink: (target, path) => Effect.sync(() => disk.makeSymlink(target, path)),
    makeFifo: (path) => Effect.sync(() => disk.makeFifo(path)),
    setTimes: (path, seconds) => Effect.sync(() => disk.setTimes(path, seconds)),
    losePower: Effect.sync(() => void disk.losePower(loseAll))
  })

runSuite("MemoryFiles", new MemoryDisk())
runSuite(
  "MemoryFiles on a journal, with relatime",
  new MemoryDisk({ nameOrdering: "journal", accessTimes: "relatime" })
)
runSuite("MemoryFiles that pauses at every point", new MemoryDisk(), { point: () => Effect.yieldNow })

const disk = new MemoryDisk()
const table = new MemoryFileLocks.MemoryLockTable(disk)

/** A foreign program with one lock at most. */
const foreign = (path: string) => {
  let release: (() => void) | undefined
  return {
    tryLock: (mode: LockMode) =>
      Effect.sync(() => {
        release?.()
        release = table.lockForeign(path, mode)
        return release !== undefined
      }),
    free: Effect.sync(() => release?.())
  }
}

fileLocksSuite("MemoryFileLocks", MemoryFileLocks.layer(table, { process: "first" }), {
  folder: folderOn(disk),
  describe: (path) =>
    Effect.sync(() => ({ mode: disk.stat(path).mode, sizeBytes: disk.stat(path).content.length })),
  startProcess: (folder) =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const locks = MemoryFileLocks.make(table, { process: "second" })
      return {
        tryLock: (offset, mode) =>
          locks
            .tryLock(`${folder}/.lock`, { offset, length: 1 }, mode)
            .pipe(Effect.orDie, Effect.provideService(Scope.Scope, scope)),
        kill: Effect.sync(() => table.releaseProcess("second"))
      }
    }),
  startForeign: (folder) => Effect.sync(() => foreign(`${folder}/.lock`)),
  makeReadOnly: Effect.acquireRelease(
    Effect.sync(() => void (disk.isReadOnly = true)),
    () => Effect.sync(() => void (disk.isReadOnly = false))
  )
})
