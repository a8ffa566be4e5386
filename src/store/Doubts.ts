/**
 * Doubts: spans of time in which the power went while somebody wrote into the store.
 *
 * Chunks are not flushed one by one: a backup flushes once, before its manifest is written. When the power goes
 * earlier, a chunk can be in its place with a part of its content. No finished snapshot names it, but the next backup
 * with the same content would find it and take it for good. So the lease of a writer outlives it: one that belongs to
 * another start of the machine puts in doubt every chunk that was written since the lease began, until somebody looked
 * (`untilSeconds`). Chunks in doubt are read and proven before they are used again. Garbage collection gives a doubt up
 * when no chunk is left in it but those that finished snapshots name.
 *
 * Proxmox Backup Server writes no leases: what its processes leave behind after a power loss is not in doubt here.
 */

/** One that died with the machine; what it wrote lies between the two. */
export interface Doubt {
  /** The file in the folder of leases. */
  readonly fileName: string
  readonly fromSeconds: number
  readonly untilSeconds: number
}

/** The clocks of the file system and of the machine may be apart a little. */
const clockToleranceSeconds = 300

/** Whether a file that was written at `mtimeSeconds` is in doubt. */
export const covers = (doubts: ReadonlyArray<Doubt>, mtimeSeconds: number): boolean =>
  doubts.some(
    ({ fromSeconds, untilSeconds }) =>
      mtimeSeconds >= fromSeconds - clockToleranceSeconds &&
      mtimeSeconds <= untilSeconds + clockToleranceSeconds
  )
