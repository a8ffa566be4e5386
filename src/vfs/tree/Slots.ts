/**
 * Slots: which file archive an inode belongs to. An archive gets its slot when it is first seen, whether it can be
 * opened or not, and keeps it; the same name with another content, in a snapshot that was removed and made again, is
 * another archive.
 */
import type { ManifestFile } from "../../format/Manifest.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import type * as PxarParts from "../../restore/browse/PxarParts.ts"
import { archiveMaxBytes, directoryBase, slotMax } from "./inodes.ts"
import type { Inode } from "../Vfs.ts"
import type { SnapshotPlace } from "./OpenSnapshots.ts"

export interface Slot {
  readonly number: number
  readonly place: SnapshotPlace
  /** As people call the archive. */
  readonly name: string
  /** The stored file with its entries, and that file's checksum. */
  readonly filename: string
  readonly csum: string
  /** Of the archive's own directory. */
  readonly root: Inode
}

export class Slots {
  readonly #slots: Array<Slot> = []
  readonly #numbers = new Map<string, number>()

  /** Undefined when there are no numbers left for it. */
  slotOf(place: SnapshotPlace, { archive, name, payload }: PxarParts.PxarParts): Slot | undefined {
    const csum = checksumOf(archive, payload)
    const key = `${Snapshot.toPath(place.namespace, place.snapshot)} ${archive.filename} ${csum}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return this.find(known)
    const number = this.#slots.length + 1
    if (number > slotMax || archive.sizeBytes >= archiveMaxBytes) return undefined
    const root = directoryBase(number) + BigInt(archive.sizeBytes)
    const slot = { number, place, name, filename: archive.filename, csum, root }
    this.#slots.push(slot)
    this.#numbers.set(key, number)
    return slot
  }

  find(number: number): Slot | undefined {
    return this.#slots[number - 1]
  }
}

/** Of all that the archive is made of. */
export const checksumOf = (archive: ManifestFile, payload: ManifestFile | undefined): string =>
  payload === undefined ? archive.csum : `${archive.csum} ${payload.csum}`
