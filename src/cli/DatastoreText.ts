/** DatastoreText: configured datastores and how they are, as people read it and as programs do. */
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Maintenance from "../config/Maintenance.ts"
import type { OperationCounts } from "../datastores/ActiveOperations.ts"
import * as Status from "../datastores/Status.ts"
import { valueOf } from "../format/SectionConfig.ts"
import * as Format from "./Format.ts"
import { localTime } from "./LocalTime.ts"

const backendText = (entry: DatastoreConfig.DatastoreEntry): string => {
  const backend = DatastoreConfig.backendOf(entry)
  return backend.type === "s3" ? `s3:${backend.client}/${backend.bucket}` : backend.type
}

const modeText = (mode: Maintenance.Maintenance | undefined): string => {
  if (mode === undefined) return ""
  return mode.message === undefined || mode.message === "" ? mode.type : `${mode.type}: ${mode.message}`
}

const header = ["datastore", "path", "backend", "gc schedule", "maintenance", "comment"]

const row = (entry: DatastoreConfig.DatastoreEntry): ReadonlyArray<string> =>
  [
    entry.id,
    DatastoreConfig.folderOf(entry),
    backendText(entry),
    valueOf(entry.section, "gc-schedule") ?? "",
    modeText(DatastoreConfig.maintenanceOf(entry)),
    valueOf(entry.section, "comment") ?? ""
  ].map(Format.name)

export const list = (entries: ReadonlyArray<DatastoreConfig.DatastoreEntry>): string =>
  entries.length === 0 ? "no datastores" : Format.table(header, entries.map(row))

const valueText = (value: unknown): string =>
  Format.name(Array.isArray(value) ? value.join(", ") : String(value))

/** A section as lines of key and value. */
export const section = (json: Readonly<Record<string, unknown>>): string => {
  const width = Math.max(...Object.keys(json).map((key) => key.length))
  return Object.entries(json)
    .map(([key, value]) => `${key.padEnd(width)}  ${valueText(value)}`.trimEnd())
    .join("\n")
}

/** One that cannot be looked at has a problem and no status. */
export interface NoStatus {
  readonly name: string
  readonly problem: string
}

export type StatusOrProblem = Status.DatastoreStatus | NoStatus

const isStatus = (one: StatusOrProblem): one is Status.DatastoreStatus => "entry" in one

export const statusJson = (one: StatusOrProblem) =>
  isStatus(one) ? Status.toJson(one) : { store: one.name, error: one.problem }

const operationsText = ({ read, write }: OperationCounts): string =>
  read + write === 0 ? "nobody" : `${Format.count(read)} reading, ${Format.count(write)} writing`

const factorText = (factor: number): string => factor.toFixed(2)

const spaceLines = ({
  estimatedFullSeconds,
  problem,
  space
}: Status.DatastoreStatus): ReadonlyArray<string> => {
  if (space === undefined) return [`space          ${Format.name(problem ?? "unknown")}`]
  const { availableBytes, totalBytes, usedBytes } = space
  const full = estimatedFullSeconds === undefined ? "" : `; full about ${localTime(estimatedFullSeconds)}`
  return [
    `space          ${Format.bytes(usedBytes)} of ${Format.bytes(totalBytes)} used ` +
      `(${Format.percent(usedBytes, totalBytes)}), ${Format.bytes(availableBytes)} free${full}`
  ]
}

const gcLine = ({ lastGc }: Status.DatastoreStatus): string =>
  lastGc === undefined
    ? "last gc        never"
    : `last gc        ${Format.counted(lastGc.diskChunks, "chunk")} in use (${Format.bytes(lastGc.diskBytes)}), ` +
      `removed ${Format.count(lastGc.removedChunks)}, ${Format.count(lastGc.pendingChunks)} pending`

export const status = (one: Status.DatastoreStatus): string =>
  [
    `datastore      ${one.name}`,
    `backend        ${Format.name(backendText(one.entry))}`,
    `path           ${Format.name(DatastoreConfig.folderOf(one.entry))}`,
    `maintenance    ${Format.name(modeText(one.maintenance)) || "none"}`,
    `at work        ${operationsText(one.activeOperations)}`,
    ...spaceLines(one),
    gcLine(one),
    `deduplication  ${factorText(one.deduplicationFactor)}`
  ].join("\n")

const statusHeader = ["datastore", "used", "free", "share", "deduplication", "at work", "maintenance"]

const statusRow = (one: StatusOrProblem): ReadonlyArray<string> => {
  if (!isStatus(one)) return [one.name, "", "", "", "", "", Format.name(one.problem)]
  const { space } = one
  const mode = modeText(one.maintenance)
  return [
    one.name,
    space === undefined ? "" : Format.bytes(space.usedBytes),
    space === undefined ? "" : Format.bytes(space.availableBytes),
    space === undefined ? "" : Format.percent(space.usedBytes, space.totalBytes),
    factorText(one.deduplicationFactor),
    operationsText(one.activeOperations),
    Format.name(space === undefined ? [mode, one.problem].filter(Boolean).join("; ") : mode)
  ]
}

export const statuses = (all: ReadonlyArray<StatusOrProblem>): string =>
  all.length === 0 ? "no datastores" : Format.table(statusHeader, all.map(statusRow))

export const maintenance = (
  name: string,
  mode: Maintenance.Maintenance | undefined,
  active: OperationCounts
): string => {
  const state =
    mode === undefined
      ? `datastore ${name} is in no maintenance mode`
      : `datastore ${name}: ${Format.name(Maintenance.explain(mode))}`
  return `${state}; at work in it: ${operationsText(active)}`
}
