/**
 * Mutation: guards that are switched off, for the laboratory alone. The empty mutation is the product as it is.
 *
 * A guard is switched off at the place where it is made: a reference that makes locks, guards or leases, a rule of
 * garbage collection, a system call that is carried out otherwise, one method of an open store. Nothing else differs.
 */
import type * as Effect from "effect/Effect"
import type { KnownChunksCheck } from "../../../src/backup/KnownChunks.ts"
import type { Datastore } from "../../../src/datastore/Datastore.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import type { Files } from "../../../src/platform/Files.ts"
import type { SyncSource } from "../../../src/sync/SyncSource.ts"
import type { SyncTarget } from "../../../src/sync/SyncTarget.ts"
import type { MemoryDisk, MemoryObjectStore } from "../../../src/testing.ts"

/** What a call that is carried out otherwise can do: the disk of its process, and a point to be stopped at. */
export interface Machine {
  readonly disk: MemoryDisk
  readonly point: (label: string) => Effect.Effect<void>
}

export interface Mutation {
  /** Puts other values into references, around everything that a process does. */
  readonly around?: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Carries out system calls otherwise; `point` is for calls that become several. */
  readonly files?: (files: Files["Service"], machine: Machine) => Files["Service"]
  /** Carries out requests to a bucket otherwise. */
  readonly objects?: (objects: ObjectStore["Service"], machine: Machine) => ObjectStore["Service"]
  /** A bucket's server is another one. */
  readonly server?: MemoryObjectStore.ServerTraits
  /** Another method of an open store. */
  readonly datastore?: (store: Datastore["Service"]) => Datastore["Service"]
  /** What a sync is told of its ends. */
  readonly source?: (source: SyncSource["Service"]) => SyncSource["Service"]
  readonly target?: (target: SyncTarget["Service"]) => SyncTarget["Service"]
  /** When backups prove what they take for known. */
  readonly knownChunks?: KnownChunksCheck
  /** Only these processes are without the guard; by default all are. */
  readonly processes?: ReadonlyArray<string>
}

/** The product as it is. */
export const guarded: Mutation = {}

/** What the mutation is for one process. */
export const mutationFor = (mutation: Mutation, process: string): Mutation =>
  mutation.processes === undefined || mutation.processes.includes(process) ? mutation : guarded
