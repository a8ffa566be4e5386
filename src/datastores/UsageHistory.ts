/**
 * UsageHistory: how full a datastore was over the last weeks, and when it will be full if that goes on: samples in
 * `.usage-history/<name>` of the configuration folder, one an hour at most, for thirty days.
 *
 * Whoever asks for a status records: what nobody looks at needs no estimate. A file that cannot be read is begun anew,
 * and one that cannot be written is done without.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { makeFolders } from "../config/ConfigFolder.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"

export interface Sample {
  readonly timeSeconds: number
  readonly usedBytes: number
  readonly totalBytes: number
}

const intervalSeconds = 3600
const keptSeconds = 30 * 24 * 3600
const fileMaxBytes = 256 * 1024

/** Fewer, or over a shorter time, say nothing about the future. */
const samplesMin = 3
const spanSecondsMin = 6 * 3600

export const pathOf = (folder: string, name: string): string => path.join(folder, ".usage-history", name)

const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const decode = (bytes: Uint8Array): ReadonlyArray<Sample> => {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (!Array.isArray(value)) return []
    return value.flatMap((sample: unknown) => {
      const [timeSeconds, usedBytes, totalBytes] = Array.isArray(sample) ? (sample as Array<unknown>) : []
      return isNatural(timeSeconds) && isNatural(usedBytes) && isNatural(totalBytes)
        ? [{ timeSeconds, usedBytes, totalBytes }]
        : []
    })
  } catch {
    return []
  }
}

const encode = (samples: ReadonlyArray<Sample>): Uint8Array =>
  Buffer.from(
    JSON.stringify(
      samples.map(({ timeSeconds, totalBytes, usedBytes }) => [timeSeconds, usedBytes, totalBytes])
    )
  )

export const read = (folder: string, name: string): Effect.Effect<ReadonlyArray<Sample>, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const target = pathOf(folder, name)
    // Without an error where there is none yet, for that is so of many stores at once.
    const [stat] = yield* files.statEach([target])
    if (stat === undefined) return []
    return yield* files.readFile(target, fileMaxBytes).pipe(
      Effect.map(decode),
      Effect.catchIf(
        (error) => isNotFound(error) || error.reason === "TooLarge",
        () => Effect.succeed([])
      )
    )
  })

/** The samples with a new one, if it is time for one; the same array otherwise. What is too old is left out. */
export const withSample = (samples: ReadonlyArray<Sample>, sample: Sample): ReadonlyArray<Sample> => {
  const last = samples.at(-1)
  // A clock that was set back must not keep new samples out for ever.
  const isDue = last === undefined || Math.abs(sample.timeSeconds - last.timeSeconds) >= intervalSeconds
  if (!isDue) return samples
  const earliest = sample.timeSeconds - keptSeconds
  const kept = samples.filter(
    ({ timeSeconds }) => timeSeconds >= earliest && timeSeconds < sample.timeSeconds
  )
  return [...kept, sample]
}

export const write = (
  folder: string,
  name: string,
  samples: ReadonlyArray<Sample>
): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const target = pathOf(folder, name)
    yield* makeFolders(path.dirname(target))
    yield* files.replaceFile(target, [encode(samples)], { mode: 0o600 })
  })

export const remove = (folder: string, name: string): Effect.Effect<void, FilesError, Files> =>
  Effect.flatMap(Files, (files) =>
    files.unlink(pathOf(folder, name)).pipe(Effect.catchIf(isNotFound, () => Effect.void))
  )

/**
 * When the datastore will be full, in seconds since 1970, by the straight line through the shares in use; undefined
 * when it does not get fuller, or too little is known.
 */
export const estimatedFullSeconds = (samples: ReadonlyArray<Sample>): number | undefined => {
  const points = samples.filter(({ totalBytes }) => totalBytes > 0)
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined || points.length < samplesMin) return undefined
  if (last.timeSeconds - first.timeSeconds < spanSecondsMin) return undefined
  const times = points.map(({ timeSeconds }) => timeSeconds - first.timeSeconds)
  const shares = points.map(({ totalBytes, usedBytes }) => usedBytes / totalBytes)
  const mean = (values: ReadonlyArray<number>) =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanTime, meanShare] = [mean(times), mean(shares)]
  const spread = times.reduce((sum, time) => sum + (time - meanTime) ** 2, 0)
  const common = times.reduce(
    (sum, time, index) => sum + (time - meanTime) * ((shares[index] ?? 0) - meanShare),
    0
  )
  const slope = common / spread
  if (!(slope > 0)) return undefined
  const seconds = first.timeSeconds + meanTime + (1 - meanShare) / slope
  return Number.isSafeInteger(Math.round(seconds))
    ? Math.max(last.timeSeconds, Math.round(seconds))
    : undefined
}
