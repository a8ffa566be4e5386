/**
 * Regular files with several names, by device and inode: where the first name stands in the archive, so that the later
 * ones can refer to it. Only files whose link count says that there are other names are kept.
 */
import type { PosixStat } from "../../platform/Posix.ts"
import { deviceOf } from "./MetadataReader.ts"

export interface LinkTarget {
  readonly path: Uint8Array
  readonly fileOffset: number
}

/** Archives hold no longer path of a link's target; such a file is stored once for every name. */
const PATH_LIMIT_BYTES = 4096

const keyOf = (stat: PosixStat): string => `${deviceOf(stat)}:${stat.inode}`

export class Hardlinks {
  readonly #targets = new Map<string, LinkTarget>()

  find(stat: PosixStat): LinkTarget | undefined {
    return stat.linkCount > 1 ? this.#targets.get(keyOf(stat)) : undefined
  }

  /** Remembers the first name of a file; `path` is asked for only when it has others. */
  remember(stat: PosixStat, fileOffset: number, path: () => Uint8Array): void {
    if (stat.linkCount < 2) return
    const target = { path: path(), fileOffset }
    if (target.path.length <= PATH_LIMIT_BYTES) this.#targets.set(keyOf(stat), target)
  }
}
