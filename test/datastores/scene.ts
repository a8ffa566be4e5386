/** A configuration folder with small datastores in it, and services over it: on a real disk. */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as Datastores from "../../src/datastores/Datastores.ts"
import * as DigestGuards from "../../src/store/DigestGuards.ts"
import type { StoreLayout } from "../../src/store/StoreLayout.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { platform } from "../store/stores.ts"

export type Service = Datastores.Datastores["Service"]

export type Machine = Layer.Success<typeof platform>

/** A store's folder, with none of its 65,536. */
export const makeStore = (folder: string): void => {
  mkdirSync(path.join(folder, ".chunks"), { recursive: true })
  writeFileSync(path.join(folder, ".lock"), "")
}

export const sectionOf = (name: string, folder: string, lines: ReadonlyArray<string> = []): string =>
  [`datastore: ${name}`, ...lines.map((line) => `\t${line}`), `\tpath ${folder}`, ""].join("\n")

/** Counts the guards that are there on each folder, and notices two on one. */
export class GuardCounter {
  readonly #open = new Map<string, number>()
  twice = 0

  readonly maker = (layout: StoreLayout) =>
    Effect.andThen(
      Effect.acquireRelease(
        Effect.sync(() => this.#add(layout.base, 1)),
        () => Effect.sync(() => this.#add(layout.base, -1))
      ),
      DigestGuards.make(layout)
    )

  isOpen(folder: string): boolean {
    return (this.#open.get(folder) ?? 0) > 0
  }

  #add(folder: string, count: number): void {
    const now = (this.#open.get(folder) ?? 0) + count
    this.#open.set(folder, now)
    if (now > 1) this.twice += 1
  }
}

/** One process: a service of its own. */
export const openService = (options: Datastores.DatastoresOptions, guards = new GuardCounter()) =>
  Effect.provideService(Datastores.make({ tickSeconds: 0, ...options }), DigestGuards.Maker, guards.maker)

export interface Scene {
  /** The configuration folder. */
  readonly folder: string
  readonly storeFolder: (name: string) => string
  /** Writes `datastore.cfg` as somebody does by hand. */
  readonly edit: (change: (text: string) => string) => void
}

const makeScene = (names: ReadonlyArray<string>) =>
  Effect.map(scratchFolder, (base): Scene => {
    const folder = path.join(base, "config")
    mkdirSync(folder)
    const storeFolder = (name: string): string => path.join(base, name)
    for (const name of names) makeStore(storeFolder(name))
    const file = path.join(folder, "datastore.cfg")
    writeFileSync(file, names.map((name) => sectionOf(name, storeFolder(name))).join("\n"))
    return {
      folder,
      storeFolder,
      edit: (change) => writeFileSync(file, change(readFileSync(file, "utf8")))
    }
  })

export interface Stage extends Scene {
  readonly service: Service
  readonly guards: GuardCounter
}

/** A test of a service over stores of these names. At no time may there be two sets of guards on one folder. */
export const staged = <A, E>(
  title: string,
  names: ReadonlyArray<string>,
  test: (stage: Stage) => Effect.Effect<A, E, Machine | Scope.Scope>,
  options: Partial<Datastores.DatastoresOptions> = {}
): void =>
  it.live(
    title,
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const scene = yield* makeScene(names)
          const guards = new GuardCounter()
          const service = yield* openService({ folder: scene.folder, editLookMillis: 0, ...options }, guards)
          yield* test({ ...scene, service, guards })
          if (guards.twice > 0) throw new Error("there were two sets of guards on one folder")
        })
      ).pipe(Effect.provide(platform)),
    20_000
  )

export const refusal = <A, E extends { readonly message: string; readonly hint: string }, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.map(Effect.flip(effect), ({ hint, message }) => `${message} (${hint})`)
