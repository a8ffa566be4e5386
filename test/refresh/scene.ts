/** A cache folder and its bucket in memory, with metadata in both, for refreshes. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import { Entropy } from "../../src/platform/Entropy.ts"
import type { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files } from "../../src/platform/Files.ts"
import { Host } from "../../src/platform/Host.ts"
import { Progress, type ProgressEvent } from "../../src/platform/Progress.ts"
import * as Refresh from "../../src/refresh/Refresh.ts"
import * as RefreshPlan from "../../src/refresh/RefreshPlan.ts"
import * as FolderMark from "../../src/store/bucket/FolderMark.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../src/testing/MemoryFileLocks.ts"
import * as MemoryFiles from "../../src/testing/MemoryFiles.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { entropyOf } from "../store/bucket/hostScene.ts"

export const layout = layoutOf("/store")

export const times = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] as const

/** What lies below `.cnt/`, by path: nested namespaces, one of them empty, and everything a group can have. */
export const metadata: Readonly<Record<string, string>> = {
  "host/a/owner": "root@pam\n",
  "host/a/notes": "the laptop",
  [`host/a/${times[0]}/.protected`]: "",
  [`host/a/${times[0]}/catalog.pcat1.didx`]: "catalog",
  [`host/a/${times[0]}/index.json.blob`]: "manifest 1",
  [`host/a/${times[0]}/root.pxar.didx`]: "index 1",
  [`host/a/${times[1]}/index.json.blob`]: "manifest 2",
  [`host/a/${times[1]}/root.pxar.didx`]: "index 2",
  "vm/100/owner": "root@pam\n",
  [`vm/100/${times[0]}/drive.img.fidx`]: "unfinished",
  "ns/x/.namespace": "",
  "ns/x/ns/y/.namespace": "",
  "ns/x/ct/7/owner": "root@pam\n",
  [`ns/x/ct/7/${times[0]}/index.json.blob`]: "manifest 3",
  "ns/empty/.namespace": ""
}

/** The files that come of it. */
export const expected: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(metadata).filter(([path]) => !path.endsWith(".namespace"))
)

export const expectedFolders = ["ns/empty", "ns/x", "ns/x/ns/y"]

export const objectSeconds = 1_000_000

export const put = (bucket: MemoryBucket, path: string, text: string, seconds = objectSeconds): void => {
  bucket.put(`store/.cnt/${path}`, Buffer.from(text), seconds * 1000)
}

export const remove = (bucket: MemoryBucket, path: string): void => {
  bucket.delete(`store/.cnt/${path}`, objectSeconds * 1000)
}

export const newBucket = (content: Readonly<Record<string, string>> = metadata): MemoryBucket => {
  const bucket = new MemoryBucket()
  for (const [path, text] of Object.entries(content)) put(bucket, path, text)
  // The newest object of all: whatever is older can be taken over after an interruption.
  put(bucket, "host/a/notes", content["host/a/notes"] ?? "", objectSeconds + 10)
  return bucket
}

export const isContentGet = (request: string): boolean => request.startsWith("get store/.cnt/")
export const isContentList = (request: string): boolean => request === "list store/.cnt/"

export type Hook = (request: string, count: number) => Effect.Effect<void, unknown>

/** Runs a hook before each request; a failure of the hook is the request's. */
export const hooked = (store: ObjectStore["Service"], hook: Hook): ObjectStore["Service"] => {
  let count = 0
  const around = <A, E>(request: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => Effect.andThen(hook(request, count++) as Effect.Effect<void, E>, effect))
  return {
    ...store,
    get: (key, maxSizeBytes) => around(`get ${key}`, store.get(key, maxSizeBytes)),
    list: (request) => around(`list ${request.prefix}`, store.list(request))
  }
}

export interface SceneOptions {
  readonly bucket?: MemoryBucket
  readonly disk?: MemoryDisk
  readonly bootId?: string
  readonly hook?: Hook
  readonly server?: MemoryObjectStore.MemoryObjectStoreOptions
  readonly point?: MemoryFiles.FilesPoint
  readonly locks?: MemoryFileLocks.MemoryLockTable
  readonly seed?: string
}

export const newDisk = (): MemoryDisk => {
  const disk = new MemoryDisk()
  disk.makeDirectory("/store", 0o755, 0)
  disk.makeDirectory("/store/.chunks", 0o750, 0)
  disk.makeDirectory("/store/.chunks/0000", 0o750, 0)
  return disk
}

export class Scene {
  readonly memory: MemoryBucket
  readonly disk: MemoryDisk
  readonly bucket: StoreBucket.StoreBucket
  readonly requests: Array<string> = []
  readonly events: Array<ProgressEvent> = []
  readonly #options: SceneOptions

  constructor(options: SceneOptions = {}) {
    this.#options = options
    this.memory = options.bucket ?? newBucket()
    this.disk = options.disk ?? newDisk()
    const hook: Hook = (request, count) => {
      this.requests.push(request)
      return options.hook?.(request, count) ?? Effect.void
    }
    const objects = hooked(MemoryObjectStore.make(this.memory, options.server), hook)
    this.bucket = StoreBucket.make({ objects, name: "store" })
  }

  /** Runs as a program of its own on the scene's disk. */
  readonly on = <A, E>(effect: Effect.Effect<A, E, Files | FileLocks>): Effect.Effect<A, E> => {
    const { bootId = "boot", locks, point, seed = "scene" } = this.#options
    const table = locks ?? new MemoryFileLocks.MemoryLockTable(this.disk)
    const machine = Layer.mergeAll(
      MemoryFiles.layer(this.disk, point === undefined ? {} : { point }),
      MemoryFileLocks.layer(table),
      Layer.succeed(Entropy, entropyOf(seed)),
      Layer.succeed(Host, { nodeName: "here", pid: 7, bootId, processStart: 1, userName: "root" }),
      Layer.succeed(Progress, (event: ProgressEvent) => void this.events.push(event))
    )
    return Effect.provide(effect, Layer.fresh(machine))
  }

  readonly claim = Effect.suspend(() => this.on(FolderMark.claim(layout, this.bucket, "ready")))
  readonly plan = Effect.suspend(() => this.on(RefreshPlan.make({ path: layout.base, bucket: this.bucket })))
  readonly refresh = Effect.suspend(() =>
    this.on(Effect.flatMap(RefreshPlan.make({ path: layout.base, bucket: this.bucket }), Refresh.run))
  )

  lay(files: Readonly<Record<string, string>>) {
    return this.on(
      Effect.gen(function* () {
        const service = yield* Files
        for (const [path, text] of Object.entries(files)) {
          const names = path.split("/").slice(0, -1)
          for (let count = 1; count <= names.length; count++) {
            yield* Effect.ignore(service.makeDirectory(`/store/${names.slice(0, count).join("/")}`))
          }
          yield* service.replaceFile(`/store/${path}`, [Buffer.from(text)])
        }
      })
    )
  }

  /** Files with their content, and empty folders, of the whole disk; the store's own names below `/store`. */
  readonly tree = Effect.suspend(() => {
    const disk = this.disk
    const files: Record<string, string> = {}
    const empty: Array<string> = []
    return this.quietly(
      Effect.gen(function* () {
        const service = yield* Files
        const walk = (path: string): Effect.Effect<void, unknown> =>
          Effect.gen(function* () {
            const entries = yield* service.readDirectory(path === "" ? "/" : path)
            if (entries.length === 0) empty.push(path)
            for (const { kind, name } of entries) {
              const child = `${path}/${name}`
              if (kind === "directory") yield* walk(child)
              else files[child] = Buffer.from(yield* service.readFile(child, 1_000_000)).toString()
            }
          })
        yield* walk("")
        return { files, empty: empty.toSorted() }
      }),
      disk
    )
  })

  private quietly<A, E>(effect: Effect.Effect<A, E, Files>, disk: MemoryDisk) {
    return Effect.provide(effect, Layer.fresh(MemoryFiles.layer(disk)))
  }

  /** The metadata files in the folder. */
  readonly found = Effect.map(
    Effect.suspend(() => this.tree),
    ({ files }) =>
      Object.fromEntries(
        Object.entries(files)
          .filter(([path]) => /^\/store\/(?:vm|ct|host|ns)\//.test(path))
          .map(([path, text]) => [path.slice("/store/".length), text])
      )
  )

  takeGets(): ReadonlyArray<string> {
    return this.requests
      .splice(0)
      .filter((request) => request.startsWith("get store/.cnt/"))
      .map((request) => request.slice("get store/.cnt/".length))
  }
}
