/**
 * SyncWorld: two small datastores on disks of their own, with the syncs that copy from the one into the other and the
 * processes that work on either, as a scenario of the laboratory.
 */
import type { Crash, MemoryDisk } from "../../../../src/testing.ts"
import { type Calls, calls } from "../points.ts"
import { type Power, World } from "../World.ts"
import { lackingOf, onDisk } from "./copies.ts"
import { SyncBetween, type SyncBetweenOptions } from "./SyncBetween.ts"

/** What is there when a scenario begins. */
export interface SyncDisks {
  readonly source: MemoryDisk
  readonly target: MemoryDisk
}

export interface SyncWorldOptions extends SyncBetweenOptions {
  /** Default: those that others can notice (`calls`). */
  readonly points?: { readonly source?: Calls; readonly target?: Calls }
}

export class SyncWorld extends SyncBetween<World> {
  constructor({ source, target }: SyncDisks, options: SyncWorldOptions) {
    const { mutation, points = {} } = options
    super(
      new World(source, { mutation, points: points.source ?? calls, title: "source" }),
      new World(target, { mutation, points: points.target ?? calls, title: "target" }),
      options
    )
  }

  /** All that processes share, and what this world remembers of them. */
  get shared(): string {
    return `${this.source.shared}\n${this.target.shared}\n${this.knownNames.join(" ")}`
  }

  get fingerprint(): string {
    return `${this.source.view.fingerprint}\n${this.target.view.fingerprint}`
  }

  readonly onCrash =
    (power: Power, choose: (count: number) => number) =>
    (crash: Crash): void => {
      this.source.onCrash(power, choose)(crash)
      this.target.onCrash(power, choose)(crash)
    }
}

/** What the target lacks of a source that it is to hold as a whole, file by file; undefined when that is nothing. */
export const lacking = ({ source, target }: SyncWorld): string | undefined =>
  lackingOf(onDisk(source), onDisk(target))
