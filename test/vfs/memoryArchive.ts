/** File archives in memory, opened as the tree opens them. */
import * as Effect from "effect/Effect"
import { type ContentReader, copyOf } from "../../src/vfs/content/ContentReader.ts"
import { countLinks } from "../../src/vfs/archive/countLinks.ts"
import { Listings } from "../../src/vfs/archive/Listings.ts"
import * as PxarArchive from "../../src/vfs/archive/PxarArchive.ts"
import { placeOf } from "../../src/vfs/tree/inodes.ts"
import type { Attributes } from "../../src/vfs/Vfs.ts"
import { vfsError, type VfsError } from "../../src/vfs/VfsError.ts"

/** What was read, as places in the content. */
export type Reads = Array<readonly [offset: number, lengthBytes: number]>

/** Reads out of memory; a range outside of the content is a defect of the caller. */
export const memoryContent = (bytes: Uint8Array, reads: Reads = []): ContentReader => {
  const look = (offset: number, lengthBytes: number) =>
    Effect.sync(() => {
      if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > bytes.length) {
        throw new RangeError(`${lengthBytes} bytes at ${offset} of ${bytes.length}`)
      }
      reads.push([offset, lengthBytes])
      return bytes.subarray(offset, offset + lengthBytes)
    })
  const lookNow = (offset: number, lengthBytes: number, use: (lent: Uint8Array) => void): boolean => {
    if (offset < 0 || lengthBytes <= 0 || offset + lengthBytes > bytes.length) return false
    use(bytes.subarray(offset, offset + lengthBytes))
    return true
  }
  return {
    sizeBytes: bytes.length,
    read: look,
    lendNow: (offset, lengthBytes, _contentEnd, use) => lookNow(offset, lengthBytes, use),
    lendLookNow: lookNow,
    lendLook: (offset, lengthBytes, use) => Effect.map(look(offset, lengthBytes), use),
    lend: (offset, lengthBytes, _contentEnd, use) => Effect.map(look(offset, lengthBytes), use),
    look,
    seek: () => Effect.succeed(undefined),
    dataBytes: Effect.succeed(bytes.length)
  }
}

export interface MemoryArchive {
  readonly archive: Uint8Array
  readonly payload: Uint8Array | undefined
}

export const open = (
  { archive, payload }: MemoryArchive,
  options: { readonly catalog?: Uint8Array; readonly reads?: Reads; readonly listings?: Listings } = {}
): Effect.Effect<PxarArchive.PxarArchive, VfsError> => {
  const { catalog, listings = new Listings(), reads } = options
  return PxarArchive.open({
    slot: 5,
    subject: "host/a root.pxar",
    source: memoryContent(archive, reads),
    payload:
      payload === undefined
        ? undefined
        : { sizeBytes: payload.length, open: Effect.succeed(memoryContent(payload)) },
    owners: { uid: undefined, gid: undefined },
    listings,
    linkCounts: (opened) =>
      countLinks({
        archive: opened,
        filename: "root.pxar.didx",
        catalog: catalog === undefined ? undefined : Effect.succeed(memoryContent(catalog))
      })
  })
}

/**
 * Looks at everything there is in every way, and answers the paths; fails with `Damaged` after more than `most`
 * entries, which no walk comes to that ends as it should.
 */
export const lookAtEverything = (archive: PxarArchive.PxarArchive, most: number) =>
  Effect.gen(function* () {
    const paths: Array<string> = []
    const pending: Array<{ readonly path: string; readonly end: number }> = [
      { path: "", end: archive.rootEnd }
    ]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { end, path } = next
      for (const { attributes, name } of (yield* archive.list(end)).entries) {
        const here = `${path}/${Buffer.from(name).toString("latin1")}`
        paths.push(here)
        if (paths.length > most) return yield* Effect.die(new Error("the walk does not end"))
        const found = yield* archive.lookup(end, name)
        if (found === undefined) return yield* vfsError("Damaged", here, "listed, and not found")
        yield* lookAt(archive, attributes)
        if (attributes.kind !== "directory") continue
        pending.push({ path: here, end: placeOf(attributes.inode).position })
      }
    }
    return paths
  })

const lookAt = (archive: PxarArchive.PxarArchive, { inode, kind, sizeBytes }: Attributes) =>
  Effect.gen(function* () {
    const place = placeOf(inode)
    yield* archive.attributes(place)
    yield* archive.xattrs(place)
    if (kind === "directory") yield* archive.parent(place.position)
    if (kind === "symlink") yield* archive.readLink(place)
    if (kind === "file") yield* archive.lend(place, 0, Math.min(sizeBytes, 100), copyOf)
  })
