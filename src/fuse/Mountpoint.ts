/**
 * Mountpoint: the directory a tree is mounted on, looked at before anything is mounted.
 *
 * Invariant: what is hidden by the mount is an empty directory that nothing is mounted on, outside of the store's own
 * folders and around none of them: a store that reads itself through its own mount would wait for itself.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { mountError, type MountError } from "./MountError.ts"
import * as MountTable from "./MountTable.ts"

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

const unusable: Readonly<Record<string, readonly [detail: string, hint: string]>> = {
  ENOENT: ["there is no such directory", "make it first, with mkdir"],
  ENOTDIR: ["is not a directory", "choose an empty directory"],
  EACCES: ["permission denied", "choose a directory of your own"],
  ENOTCONN: ["a mount whose program is gone lies there", "take it away with: granary unmount"]
}

const refused = (mountpoint: string, detail: string, hint: string): MountError =>
  mountError("BadMountpoint", mountpoint, detail, hint)

const fromCode = (mountpoint: string, error: unknown): MountError => {
  const code = codeOf(error)
  const [detail, hint] = unusable[code] ?? [`cannot be used: ${code}`, "choose another directory"]
  return refused(mountpoint, detail, hint)
}

const attempt = <A>(mountpoint: string, run: () => Promise<A>): Effect.Effect<A, MountError> =>
  Effect.tryPromise({ try: run, catch: (error) => fromCode(mountpoint, error) })

/** Where a folder really is; itself when that cannot be said. */
const realPath = (folder: string): Effect.Effect<string> =>
  Effect.promise(() => fs.promises.realpath(folder).catch(() => path.resolve(folder)))

const contains = (outer: string, inner: string): boolean =>
  inner === outer || inner.startsWith(outer === "/" ? outer : `${outer}/`)

const refuseMounted = (mountpoint: string) =>
  Effect.flatMap(MountTable.at(mountpoint), (mounted) =>
    mounted === undefined
      ? Effect.void
      : Effect.fail(
          refused(
            mountpoint,
            `is in use already, by a mount of type ${mounted.type}`,
            MountTable.isOurs(mounted)
              ? "take it away first, with: granary unmount"
              : "choose another directory"
          )
        )
  )

const refuseNested = (mountpoint: string, folders: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    for (const folder of folders) {
      const real = yield* realPath(folder)
      const how = contains(real, mountpoint) ? "lies in" : "would hide"
      if (how === "lies in" || contains(mountpoint, real)) {
        const detail = `${how} the folder of the datastore itself, ${real}`
        return yield* refused(mountpoint, detail, "choose a directory outside of it")
      }
    }
  })

/** The real path of a directory that may be mounted on. `storeFolders` are the store's own. */
export const check = (
  mountpoint: string,
  storeFolders: ReadonlyArray<string>
): Effect.Effect<string, MountError> =>
  Effect.gen(function* () {
    yield* refuseMounted(path.resolve(mountpoint))
    const real = yield* attempt(mountpoint, () => fs.promises.realpath(mountpoint))
    yield* refuseMounted(real)
    // A directory that is no store's may lie around one all the same, so this is asked before what is in it.
    yield* refuseNested(real, storeFolders)
    const directory = yield* attempt(mountpoint, () => fs.promises.opendir(real))
    const first = yield* attempt(mountpoint, () => directory.read().finally(() => directory.close()))
    if (first !== null) {
      return yield* refused(mountpoint, "is not empty", "choose an empty directory, or make one")
    }
    return real
  })
