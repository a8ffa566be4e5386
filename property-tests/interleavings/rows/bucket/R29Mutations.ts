/** R29Mutations: guards against death in a bucket that are switched off: the order in which things come and go. */
import * as Effect from "effect/Effect"
import * as Digest from "../../../../src/model/Digest.ts"
import type { ObjectKey } from "../../../../src/objectstore/ObjectKey.ts"
import { isNotFound } from "../../../../src/platform/Files.ts"
import { ChunkPresence } from "../../../../src/store/ChunkPresence.ts"
import type { MemoryDisk } from "../../../../src/testing.ts"
import type { Mutation } from "../../harness/Mutation.ts"

const isManifest = (key: string): boolean => key.endsWith("/index.json.blob")

/** The manifest is put before the index that it names; who lists sees what is still to come. */
export const indexesLast: Mutation = {
  objects: (objects) => {
    const late: Array<readonly [ObjectKey, Uint8Array]> = []
    return {
      ...objects,
      put: (key, body) =>
        Effect.gen(function* () {
          if (key.endsWith(".didx")) {
            late.push([key, body])
            return { etag: "" }
          }
          const written = yield* objects.put(key, body)
          if (isManifest(key)) for (const [name, content] of late.splice(0)) yield* objects.put(name, content)
          return written
        }),
      list: (request) =>
        Effect.map(objects.list(request), (page) => ({
          ...page,
          objects: [
            ...page.objects,
            ...late
              .filter(([key]) => key.startsWith(request.prefix))
              .map(([key, { length }]) => ({
                key,
                sizeBytes: length,
                lastModifiedSeconds: 0,
                etag: undefined
              }))
          ]
        }))
    }
  }
}

/** The manifest is the last of a snapshot's objects to go, not the first. */
export const manifestsGoLast: Mutation = {
  objects: (objects) => {
    let late: ReadonlyArray<ObjectKey> = []
    return {
      ...objects,
      deleteMany: (keys) => {
        if (keys.length === 1 && keys.every(isManifest)) {
          late = keys
          return Effect.succeed({ deleted: keys, failed: [] })
        }
        const rest = late
        late = []
        return Effect.tap(objects.deleteMany(keys), () => objects.deleteMany(rest))
      }
    }
  }
}

const renames = new WeakMap<MemoryDisk, Array<Effect.Effect<unknown>>>()

/** Nobody is told that chunks were set aside. */
export const untoldCondemning: Mutation = {
  objects: (objects) => ({
    ...objects,
    put: (key, body) =>
      key.endsWith("/.granary/condemned") ? Effect.succeed({ etag: "" }) : objects.put(key, body)
  })
}

/** A corrupt chunk's name in the folder goes when its object is deleted, not before; and nobody is told. */
export const namesGoLast: Mutation = {
  files: (files, { disk }) => {
    // What a process that died had still to do is not done by the next one.
    renames.delete(disk)
    return {
      ...files,
      rename: (from, to) =>
        Effect.suspend(() => {
          if (!to.endsWith(".bad")) return files.rename(from, to)
          renames.set(disk, [...(renames.get(disk) ?? []), Effect.ignore(files.rename(from, to))])
          return Effect.void
        })
    }
  },
  objects: (objects, machine) => ({
    ...(untoldCondemning.objects?.(objects, machine) ?? objects),
    deleteMany: (keys) =>
      Effect.tap(objects.deleteMany(keys), () => {
        const waiting = renames.get(machine.disk) ?? []
        renames.delete(machine.disk)
        return Effect.all(waiting, { discard: true })
      })
  })
}

/** What the folder does not know is not there. */
export const knowingTheFolderAlone: Mutation = {
  datastore: (store) => {
    const isAbsent = (digests: Uint8Array, number: number) =>
      store.chunks.stat(Digest.fromBytes(digests, number * Digest.lengthBytes)).pipe(
        Effect.as(false),
        Effect.catchIf(
          (error) => error._tag === "FilesError" && isNotFound(error),
          () => Effect.succeed(true)
        )
      )
    const findAbsent = (digests: Uint8Array) =>
      Effect.filter(
        Array.from({ length: digests.length / Digest.lengthBytes }, (_, number) => number),
        (number) => isAbsent(digests, number)
      )
    return { ...store, presence: ChunkPresence.of({ findAbsent }) }
  }
}
