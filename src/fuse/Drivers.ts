/**
 * Drivers: both of them, and which one is taken: the better one that works on this machine, or the one that was asked
 * for.
 */
import * as Effect from "effect/Effect"
import type { Driver } from "./Driver.ts"
import * as KernelDriver from "./KernelDriver.ts"
import { mountError, type MountError } from "./MountError.ts"
import type { DriverChoice } from "./MountRequest.ts"
import * as NativeDriver from "./NativeDriver.ts"

/** The better one first: names, times and numbers arrive exactly through it, and it needs no package. */
export const all: ReadonlyArray<Driver> = [KernelDriver.driver, NativeDriver.driver]

const noDriver = (mountpoint: string, detail: string): MountError =>
  mountError("NoDriver", mountpoint, detail, "see docs/mount.md; granary serve-files works without any")

/** Fails with every driver's reason when none works. */
export const choose = (
  choice: DriverChoice,
  mountpoint: string,
  drivers: ReadonlyArray<Driver> = all
): Effect.Effect<Driver, MountError> =>
  Effect.gen(function* () {
    const obstacles: Array<string> = []
    for (const driver of drivers.filter(({ name }) => choice === "auto" || choice === name)) {
      const obstacle = yield* driver.obstacle
      if (obstacle === undefined) return driver
      obstacles.push(`driver ${driver.name}: ${obstacle}`)
    }
    return yield* noDriver(mountpoint, `it cannot be mounted here: ${obstacles.join("; ")}`)
  })
