/**
 * Configured datastores in every order of events: lookups against edits, maintenance modes, removals and drops, in
 * several fibers and processes; and a configuration file that is written while everything may stop. Each promise is
 * also tried with what keeps it switched off, and must fail then.
 *
 * With `GRANARY_EXPLORE=full` many more orders are tried.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import { actor, Explore, type Report, type Scenario, Simulation } from "../../src/testing.ts"
import { configFolder, type Mutation, name, section, World } from "./scene.ts"

const isFull = process.env["GRANARY_EXPLORE"] === "full"

type Play = (world: World) => Effect.Effect<unknown, unknown, Simulation>

const together = <R>(...parts: ReadonlyArray<Effect.Effect<unknown, unknown, R>>) =>
  Effect.all(parts, { concurrency: "unbounded", discard: true })

const scenario =
  (play: Play, mutation: Mutation = "none") =>
  (): Scenario => {
    const world = new World(mutation)
    return {
      program: play(world),
      invariant: world.invariant,
      check: () => (world.handles === 0 ? true : "a handle was never given back"),
      onCrash: world.onCrash
    }
  }

const explored = (play: Play, mutation?: Mutation): Report => {
  // What a mutation breaks need not be made small.
  const shrinking = mutation === undefined ? {} : { maxShrinkRuns: 0 }
  const options = { seed: 7, maxRuns: isFull ? 20_000 : 40, ...shrinking }
  const pct = Explore.pct(scenario(play, mutation), { depth: 3, ...options })
  return pct.failure === undefined ? Explore.seeded(scenario(play, mutation), options) : pct
}

const fails = (play: Play, mutation: Mutation, expected: RegExp): void => {
  const { failure } = explored(play, mutation)
  assert.match(failure?.message ?? "nothing failed", expected)
}

/** Lookups in two fibers of a process, while another process changes the section twice. */
const editing: Play = (world) =>
  together(
    world.process("server", 1, (service) =>
      together(
        Effect.andThen(world.lookup(service, "read"), world.lookup(service, "write")).pipe(actor("left")),
        Effect.andThen(world.lookup(service, "read"), world.lookup(service, "read")).pipe(actor("right"))
      )
    ),
    world.process("command", 2, () => Effect.andThen(world.edit(1), world.edit(2)))
  )

/** Lookups of a server, while another process removes the store for good, or works in it alone. */
const removing: Play = (world) =>
  together(
    world.process("server", 1, (service) =>
      together(
        world.lookup(service, "read").pipe(actor("left")),
        Effect.andThen(world.lookup(service, "write"), world.lookup(service, "read")).pipe(actor("right"))
      )
    ),
    world.process("command", 2, (service) =>
      Effect.andThen(
        service.remove(name),
        Effect.sync(() => void (world.isRemoved = true))
      )
    )
  )

const refreshing: Play = (world) =>
  together(
    world.process("server", 1, (service) =>
      together(
        world.lookup(service, "read").pipe(actor("left")),
        Effect.andThen(world.lookup(service, "write"), service.tick).pipe(actor("right"))
      )
    ),
    world.process("command", 2, (service) =>
      service.alone(name, { type: "s3-refresh", message: undefined }, () =>
        Effect.acquireUseRelease(
          Effect.sync(() => void (world.isAlone = true)),
          () => Simulation.use((simulation) => simulation.point("refresh")),
          () => Effect.sync(() => void (world.isAlone = false))
        )
      )
    )
  )

/** A store that has to be opened anew while others use it, or that is given up between two of its users. */
const reopening: Play = (world) =>
  world.process("server", 1, (service) =>
    together(
      world.lookup(service, "read").pipe(actor("left")),
      world.lookup(service, "write").pipe(actor("right")),
      Effect.gen(function* () {
        yield* DatastoreConfig.update(configFolder, name, { tuning: "sync-level=file" })
        yield* service.setMaintenance(name, { type: "offline", message: undefined })
        yield* service.tick
        yield* service.setMaintenance(name, undefined)
      }).pipe(actor("administrator"))
    )
  )

describe("lookups in every order", () => {
  it("never serve a stale section after an acknowledged change", () => {
    Explore.assertHolds(explored(editing))
    fails(editing, "generation", /stale section/)
  })

  it("never serve a removed store", () => {
    Explore.assertHolds(explored(removing))
    fails(removing, "active operations", /a handle serves a removed store/)
  })

  it("leave alone who wants to be alone", () => {
    Explore.assertHolds(explored(refreshing))
    fails(refreshing, "active operations", /alone with a store that others use/)
  })

  it("never have two chunk stores on one path", () => {
    Explore.assertHolds(explored(reopening))
  })
})

const texts = [section, section.replace("comment 0", "comment 1")]

/** One process changes the file while everything may stop; then another one changes it again. */
const writing =
  (mutation: Mutation = "none") =>
  (): Scenario => {
    const world = new World(mutation)
    const read = (): string => {
      const { disk } = world
      return Buffer.from(disk.read(disk.open(`${configFolder}/datastore.cfg`), 0)).toString()
    }
    const change = (comment: string) => () => DatastoreConfig.update(configFolder, name, { comment })
    return {
      program: world.process("command", 1, change("1")),
      onCrash: (crash) => world.onCrash(crash),
      recover: Effect.suspend(() => {
        if (!texts.includes(read())) world.fault = `neither the old file nor the new one: ${read()}`
        return world.process("next", 2, change("2"))
      }),
      check: ({ _tag }) => {
        if (world.fault !== undefined) return world.fault
        if (_tag !== "Crashed") return texts.includes(read()) || `neither old nor new: ${read()}`
        return read().includes("comment 2") || "the next change did not happen"
      }
    }
  }

describe("a configuration file that is being written", () => {
  it("is the old one or the new one, wherever everything stops, and can be changed again", () => {
    const schedules = { preemptions: 0 }
    Explore.assertHolds(Explore.crashes(writing(), { kinds: ["crash"], schedules }))
    Explore.assertHolds(Explore.crashes(writing(), { kinds: ["kill"], schedules }))
    const { failure } = Explore.crashes(writing("atomic replace"), {
      kinds: ["kill"],
      schedules,
      maxShrinkRuns: 0
    })
    assert.isDefined(failure)
  })
})
