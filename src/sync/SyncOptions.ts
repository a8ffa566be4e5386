/**
 * SyncOptions: what a sync is asked for, in PBS's words, and the proof that it makes sense.
 *
 * Invariant: `check` answers options that nobody has to look at with suspicion again; what is wrong with them is one
 * clear line.
 */
import * as Effect from "effect/Effect"
import type { CryptConfig } from "../format/CryptConfig.ts"
import type { AuthId } from "../model/AuthId.ts"
import * as Namespace from "../model/Namespace.ts"
import type { GroupFilter } from "./GroupFilter.ts"
import { type SyncError, syncError } from "./SyncError.ts"

export type Direction = "pull" | "push"

/** Bytes, of what goes over the line. */
export interface TransferRate {
  readonly bytesPerSecond: number
  /** How much may go at once after a pause. Default: what comes in within a second. */
  readonly burstBytes?: number
}

export interface SyncOptions {
  /**
   * Whose rules count. A pull makes groups of its owner, takes only groups of exactly that owner, and looks at the
   * newest snapshot again; a push passes over groups of others, and never looks back.
   */
  readonly direction: Direction
  /** Whose the groups are that come into being on the target. */
  readonly owner: AuthId
  /** Where to begin in the source. Default: its root. */
  readonly sourceNamespace?: Namespace.Namespace
  /** What that becomes in the target. Default: its root. */
  readonly targetNamespace?: Namespace.Namespace
  /** How many levels of namespaces below; all by default, 0 for none. */
  readonly maxDepth?: number
  readonly groupFilters?: ReadonlyArray<GroupFilter>
  /** Only the newest so many snapshots of each group. At least 1. */
  readonly transferLast?: number
  /** Removes from the target what the source does not have. Default false. */
  readonly removeVanished?: boolean
  /** Of a pull: copies snapshots again that failed their verification on the target. Default false. */
  readonly resyncCorrupt?: boolean
  /** Only snapshots that are encrypted as a whole. Default false. */
  readonly encryptedOnly?: boolean
  /** Only snapshots whose last verification was good. Default false. */
  readonly verifiedOnly?: boolean
  /** Groups at a time, 1 to 32. Default 1. PBS calls them `worker-threads`. */
  readonly parallelGroups?: number
  /** Read from the source at most. */
  readonly rateIn?: TransferRate
  /** Written to the target at most. */
  readonly rateOut?: TransferRate
  /** `off`: one chunk at a time inside a group. Default `on`. */
  readonly pipelining?: "on" | "off"
  /** Chunks under way at most, over all groups. Default 64. */
  readonly transfersMax?: number
  /** What chunks under way may take in memory. Default 128 MiB; one larger chunk goes alone. */
  readonly transferBytesMax?: number
  /** How often what may pass is tried, the first time included. Default 5. */
  readonly attemptsMax?: number
  /** Encrypts what the source has unencrypted. Snapshots of which only a part is are passed over. */
  readonly encryptWith?: CryptConfig
  /** Decrypts what was encrypted with one of these keys. */
  readonly decryptWith?: ReadonlyArray<CryptConfig>
}

export interface PlanOptions extends SyncOptions {
  /** Whether the indexes are read, to count what would be transferred. Default true. */
  readonly estimates?: boolean
}

/** The options with all defaults. */
export interface CheckedOptions extends Omit<
  SyncOptions,
  "maxDepth" | "transferLast" | "rateIn" | "rateOut"
> {
  readonly sourceNamespace: Namespace.Namespace
  readonly targetNamespace: Namespace.Namespace
  readonly maxDepth: number | undefined
  readonly groupFilters: ReadonlyArray<GroupFilter>
  readonly transferLast: number | undefined
  readonly removeVanished: boolean
  readonly resyncCorrupt: boolean
  readonly encryptedOnly: boolean
  readonly verifiedOnly: boolean
  readonly parallelGroups: number
  readonly rateIn: TransferRate | undefined
  readonly rateOut: TransferRate | undefined
  readonly pipelining: "on" | "off"
  readonly transfersMax: number
  readonly transferBytesMax: number
  readonly attemptsMax: number
  readonly decryptWith: ReadonlyArray<CryptConfig>
}

export const parallelGroupsMax = 32

const defaultTransfersMax = 64
const defaultTransferBytesMax = 128 * 1024 * 1024
const defaultAttemptsMax = 5

const isWhole = (value: number, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && value >= least && value <= most

const isRate = (rate: TransferRate | undefined): boolean =>
  rate === undefined || (rate.bytesPerSecond > 0 && (rate.burstBytes ?? 1) > 0)

const withDefaults = (options: SyncOptions): CheckedOptions => ({
  ...options,
  sourceNamespace: options.sourceNamespace ?? Namespace.root,
  targetNamespace: options.targetNamespace ?? Namespace.root,
  maxDepth: options.maxDepth,
  groupFilters: options.groupFilters ?? [],
  transferLast: options.transferLast,
  removeVanished: options.removeVanished ?? false,
  resyncCorrupt: options.resyncCorrupt ?? false,
  encryptedOnly: options.encryptedOnly ?? false,
  verifiedOnly: options.verifiedOnly ?? false,
  parallelGroups: options.parallelGroups ?? 1,
  rateIn: options.rateIn,
  rateOut: options.rateOut,
  pipelining: options.pipelining ?? "on",
  transfersMax: options.transfersMax ?? defaultTransfersMax,
  transferBytesMax: options.transferBytesMax ?? defaultTransferBytesMax,
  attemptsMax: options.attemptsMax ?? defaultAttemptsMax,
  decryptWith: options.decryptWith ?? []
})

/** Keys change what is copied: which way, only the direction says. */
const keyFaultOf = (options: CheckedOptions): string | undefined => {
  if (options.direction === "pull" && options.encryptWith !== undefined) return "only a push encrypts"
  if (options.direction === "push" && options.decryptWith.length > 0) return "only a pull decrypts"
  return options.encryptWith !== undefined && options.encryptedOnly
    ? "what is to be encrypted is not encrypted yet: leave out encrypted-only"
    : undefined
}

const faultOf = (options: CheckedOptions): string | undefined => {
  const { maxDepth, parallelGroups, transferLast } = options
  if (maxDepth !== undefined && !isWhole(maxDepth, 0, Namespace.depthMax)) {
    return `max-depth is a whole number from 0 to ${Namespace.depthMax}, not ${maxDepth}`
  }
  if (transferLast !== undefined && !isWhole(transferLast, 1, Number.MAX_SAFE_INTEGER)) {
    return `transfer-last is a whole number from 1 on, not ${transferLast}`
  }
  if (!isWhole(parallelGroups, 1, parallelGroupsMax)) {
    return `parallel-groups is a whole number from 1 to ${parallelGroupsMax}, not ${parallelGroups}`
  }
  if (!isWhole(options.transfersMax, 1, 4096)) {
    return `transfers at a time are a whole number from 1 to 4096, not ${options.transfersMax}`
  }
  if (!isWhole(options.transferBytesMax, 1, Number.MAX_SAFE_INTEGER)) {
    return `memory for transfers is a number of bytes from 1 on, not ${options.transferBytesMax}`
  }
  if (!isWhole(options.attemptsMax, 1, 1000)) {
    return `attempts are a whole number from 1 to 1000, not ${options.attemptsMax}`
  }
  if (!isRate(options.rateIn) || !isRate(options.rateOut)) return "a rate and its burst are above 0"
  if (options.direction === "push" && options.resyncCorrupt) return "only a pull can resync what is corrupt"
  return keyFaultOf(options)
}

export const check = (options: SyncOptions): Effect.Effect<CheckedOptions, SyncError> =>
  Effect.suspend(() => {
    const checked = withDefaults(options)
    const fault = faultOf(checked)
    return fault === undefined ? Effect.succeed(checked) : Effect.fail(syncError("Refused", fault))
  })
