/**
 * A process that mounts the fixture tree: `memoryProgram.ts MOUNTPOINT DRIVER`. It says `ready`, answers one line to
 * each line that it is asked, and unmounts when it is told to stop, or when nobody asks any more.
 *
 *     counts      as JSON
 *     add NAME    a file in the directory `live`: done
 *     unmount     what came of it; the process stays
 *     stop        what came of it, and the end
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { createInterface } from "node:readline"
import type { Driver } from "../../src/fuse/Driver.ts"
import * as KernelDriver from "../../src/fuse/KernelDriver.ts"
import * as NativeDriver from "../../src/fuse/NativeDriver.ts"
import { endLater } from "../../src/platform/endLater.ts"
import { makeFixture } from "./fixtureTree.ts"

const [mountpoint = "", name = ""] = process.argv.slice(2)

const drivers: Readonly<Record<string, () => Promise<Driver>>> = {
  kernel: () => Promise.resolve(KernelDriver.driver),
  "fuse-native": () => Promise.resolve(NativeDriver.driver),
  "kernel-private": () => Promise.resolve(KernelDriver.driver),
  "fuse-native-private": () => Promise.resolve(NativeDriver.driver),
  "kernel-pool": () => Promise.resolve(KernelDriver.withReader("pool"))
}

/** Others than root may only let others in where the machine's configuration allows it. */
const allowOther = !name.endsWith("-private")

const fixture = makeFixture()
const lines = createInterface(process.stdin)[Symbol.asyncIterator]()

const program = Effect.gen(function* () {
  const driver = yield* Effect.promise(async () => {
    const load = drivers[name]
    if (load === undefined) throw new Error(`there is no driver ${name}`)
    return load()
  })
  const mounted = yield* driver.mount({ mountpoint, source: "memory,tree", allowOther }, fixture.vfs)
  console.log("ready")
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    const [word, parameter = ""] = line.done === true ? ["stop"] : line.value.split(" ")
    if (word === "counts") console.log(JSON.stringify(fixture.counts))
    if (word === "add") {
      fixture.addLive(parameter)
      console.log("done")
    }
    if (word === "unmount" || word === "stop") console.log(yield* mounted.unmount)
    if (word === "stop") return
  }
}).pipe(Effect.scoped)

const log = Logger.make(({ logLevel, message }) => {
  process.stderr.write(
    `${logLevel}: ${(Array.isArray(message) ? message : [message]).map(String).join(" ")}\n`
  )
})

await Effect.runPromise(Effect.provide(program, Logger.layer([log])))
process.stdin.destroy()
// As the real program does: a thread may still wait in a read.
endLater(process.pid, 2000)
