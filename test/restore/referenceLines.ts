/** What the reference implementation says of each entry of its archives, as the fixtures have it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fixtures } from "./browseStore.ts"

export interface ReferenceLine {
  readonly kind: string
  readonly path_hex: string
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtime: readonly [number, number]
  readonly fcaps: string | null
  readonly xattrs: ReadonlyArray<readonly [name: string, value: string]>
  readonly content_sha256?: string
  readonly content_size?: number
}

export const referenceLines = (name: string): ReadonlyArray<ReferenceLine> =>
  readFileSync(join(fixtures, "pxar", `${name}.entries.jsonl`), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => !/^(GoodbyeTable|Version|Prelude)/.test(kind))
