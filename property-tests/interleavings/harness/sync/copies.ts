/** copies: whether one store of the laboratory holds all that another one has, file by file, read past the product. */
import { storeName } from "../bucket/BucketView.ts"
import type { BucketWorld } from "../bucket/BucketWorld.ts"
import { basePath, contentHash, type SnapshotView } from "../StoreView.ts"
import type { World } from "../World.ts"

/** What a store holds: its snapshots, and the files of each. */
export interface Holding {
  readonly snapshots: ReadonlyArray<SnapshotView>
  readonly files: (path: string) => ReadonlyArray<readonly [name: string, content: Uint8Array]>
}

export const onDisk = ({ disk, view }: World): Holding => ({
  snapshots: view.snapshots,
  files: (path) => disk.list(`${basePath}/${path}`, 0).map(([name, { content }]) => [name, content])
})

export const inBucket = ({ bucket, view }: BucketWorld): Holding => ({
  snapshots: view.snapshots,
  files: (path) => {
    const prefix = `${storeName}/.cnt/${path}/`
    return bucket
      .keys()
      .filter((key) => key.startsWith(prefix))
      .map((key) => [key.slice(prefix.length), bucket.find(key)?.body ?? new Uint8Array(0)])
  }
})

/** The finished snapshots as lines: the name, and its files. */
const linesOf = ({ files, snapshots }: Holding): ReadonlyArray<string> =>
  snapshots
    .filter(({ isFinished }) => isFinished)
    .map(({ path }) => {
      const archives = files(path).filter(([name]) => name.endsWith("idx") || name.endsWith(".blob"))
      const texts = archives.map(([name, content]) => `${name} ${contentHash(content)}`)
      return `${path} ${texts.toSorted().join(" ")}`
    })
    .toSorted()

/** What a target lacks of a source that it is to hold as a whole; undefined when that is nothing. */
export const lackingOf = (source: Holding, target: Holding): string | undefined => {
  const there = new Set(linesOf(target))
  const missing = linesOf(source).find((line) => !there.has(line))
  return missing === undefined ? undefined : `the target lacks ${missing}, or has it otherwise`
}
