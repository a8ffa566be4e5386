/**
 * Regular files with several names, by device and inode: where the first name stands in the archive, so that the later
 * ones can refer to it. Only files whose link count says that there are other names are kept.
 */
import type { PosixStat } from "../../platform/Posix.ts"
import { deviceOf } from "./MetadataReader.ts"

export interface LinkTarget {
  path: Uint8Array
  /** Undefined until the file has been written. */
  fileOffset: number | undefined
}

/** Archives hold no longer path of a link's target; such a file is stored once for every name. */
const PATH_LIMIT_BYTES = 4096

const keyOf = (stat: PosixStat): string => `${deviceOf(stat)}:${stat.inode}`

export const isSameFile = (left: PosixStat, right: PosixStat): boolean => keyOf(left) === keyOf(right)

export class Hardlinks {
  readonly #targets = new Map<string, LinkTarget>()

  find(stat: PosixStat): LinkTarget | undefined {
    return stat.linkCount > 1 ? this.#targets.get(keyOf(stat)) : undefined
  }

  /** Remembers a first name, for whoever writes it to say where; undefined when the file needs no remembering. */
  remember(stat: PosixStat, path: Uint8Array): LinkTarget | undefined {
    if (stat.linkCount < 2 || path.length > PATH_LIMIT_BYTES) return undefined
    const target: LinkTarget = { path, fileOffset: undefined }
    this.#targets.set(keyOf(stat), target)
    return target
  }
}
