/**
 * A datastore of one's own and mounts of it that nobody else sees, made and ended by the program itself. Who opens it
 * closes it, which ends every mount.
 */
import { assert } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { emptyStore } from "../store/emptyStore.ts"
import { openPrivateMounts, type Outcome, type PrivateMounts } from "./PrivateMounts.ts"

/** What `granary mount --output json` tells. */
export interface Ready {
  readonly mountpoint: string
  readonly driver: string
  readonly pid: number
  /** Where it tells of faults. */
  readonly log: string | null
}

/** Whether it is there, and not only waits for somebody to hear of its end. */
export const isRunning = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

export class StoreMounts {
  readonly mounts: PrivateMounts
  readonly store: string

  constructor(mounts: PrivateMounts) {
    this.mounts = mounts
    this.store = emptyStore(path.join(mounts.folder, "store"))
  }

  granary(...words: ReadonlyArray<string>): Outcome {
    return this.mounts.run(...this.mounts.granary("-r", this.store, ...words))
  }

  /** Runs it and insists on success. */
  succeed(...words: ReadonlyArray<string>): string {
    return this.#done(this.granary(...words))
  }

  /** A shell script that has to end well. */
  shell(script: string, ...parameters: ReadonlyArray<string>): string {
    return this.#done(this.mounts.shell(script, ...parameters))
  }

  #done({ code, error, out }: Outcome): string {
    assert.strictEqual(code, 0, error + out)
    return out
  }

  backup(id: string, ...words: ReadonlyArray<string>): void {
    this.succeed("backup", "--backup-id", id, ...words)
  }

  /** Mounts in the background. */
  mount(...words: ReadonlyArray<string>): Ready {
    return JSON.parse(this.succeed("mount", "--output", "json", ...words)) as Ready
  }

  unmount(point: string): void {
    this.succeed("unmount", point)
  }

  close(): void {
    this.mounts.close()
  }
}

export const openStoreMounts = async (): Promise<StoreMounts> => new StoreMounts(await openPrivateMounts())
