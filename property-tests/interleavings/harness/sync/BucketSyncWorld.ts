/**
 * BucketSyncWorld: a small datastore on a disk, and one in a bucket with its cache folder, with the syncs that copy
 * from the disk into the bucket, as a scenario of the laboratory.
 *
 * Points are what changes something on the target: requests to the bucket, and calls on the folder. Those that go wrong
 * by themselves are the business of other scenarios.
 */
import type { Crash, MemoryDisk } from "../../../../src/testing.ts"
import { type BucketStart, BucketWorld, type Requests } from "../bucket/BucketWorld.ts"
import { everyChange, noCalls } from "../points.ts"
import { World } from "../World.ts"
import { inBucket, lackingOf, onDisk } from "./copies.ts"
import { SyncBetween, type SyncBetweenOptions } from "./SyncBetween.ts"

/** What is there when a scenario begins. */
export interface BucketSyncStart {
  readonly source: MemoryDisk
  readonly target: BucketStart
}

export interface BucketSyncOptions extends SyncBetweenOptions {
  /** Whether it is stopped anywhere at all. */
  readonly isExplored: boolean
}

const everyRequest: Requests = (operation) => /^(?:put|copy|delete)/.test(operation)
const noRequests: Requests = () => false

export class BucketSyncWorld extends SyncBetween<BucketWorld> {
  constructor({ source, target }: BucketSyncStart, options: BucketSyncOptions) {
    const { isExplored, mutation } = options
    super(
      new World(source, { mutation, points: noCalls, title: "source" }),
      new BucketWorld(target, {
        mutation,
        points: isExplored ? everyChange : noCalls,
        requests: isExplored ? everyRequest : noRequests
      }),
      options
    )
  }

  /** And I3: what the folder says that is not so. */
  override complaint(): string | undefined {
    const untrue = this.target.untrue()
    return super.complaint() ?? (untrue === undefined ? undefined : `target: ${untrue}`)
  }

  get fingerprint(): string {
    return `${this.source.view.fingerprint}\n${this.target.view.fingerprint}`
  }

  /** The source's machine goes with the sync. */
  readonly onCrash =
    (choose: (count: number) => number) =>
    (crash: Crash): void => {
      this.source.changed()
      if (crash.kind === "process") this.source.locks.releaseProcess(crash.process)
      else {
        this.source.locks.releaseAll()
        this.source.disk.losePower(choose)
      }
      this.target.onCrash(choose)(crash)
    }
}

/** What the bucket lacks of a source that it is to hold as a whole, file by file; undefined when that is nothing. */
export const lackingInBucket = ({ source, target }: BucketSyncWorld): string | undefined =>
  lackingOf(onDisk(source), inBucket(target))
