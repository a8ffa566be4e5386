/** How a verification is written: its plan and its result, as text and as JSON. Pure. */
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as Confidence from "../verify/Confidence.ts"
import type { SampleResult, VerifySummary } from "../verify/Verify.ts"
import type { PlannedSnapshot, VerifyPlan } from "../verify/VerifyPlan.ts"
import * as Format from "./Format.ts"

const nameOf = ({ namespace, snapshot }: Pick<PlannedSnapshot, "namespace" | "snapshot">): string =>
  namespace === Namespace.root ? Snapshot.format(snapshot) : `${namespace}: ${Snapshot.format(snapshot)}`

export const planToJson = (plan: VerifyPlan) => ({
  depth: plan.depth,
  snapshots: plan.snapshots.map(({ namespace, snapshot, sizeBytes }) => ({
    snapshot: Snapshot.format(snapshot),
    ns: namespace,
    size: sizeBytes
  })),
  size: plan.sizeBytes,
  "up-to-date": plan.upToDate,
  unfinished: plan.unfinished,
  ...(plan.expected === undefined
    ? {}
    : {
        chunks: plan.expected.chunks,
        "chunks-read": plan.expected.reads,
        "bytes-read-max": plan.expected.readBytes
      }),
  ...(plan.chunks?.sample === undefined ? {} : { "sample-seed": plan.chunks.sample.seed })
})

const expectedLines = ({ chunks, depth, expected }: VerifyPlan): ReadonlyArray<string> => {
  if (expected === undefined) return []
  const { readBytes, reads } = expected
  const listed = depth === "listed" ? [`looks for ${Format.counted(expected.chunks, "chunk")}`] : []
  const of = reads === expected.chunks ? "" : ` of ${Format.count(expected.chunks)}`
  const seed = chunks?.sample === undefined ? "" : `, chosen with the seed ${chunks.sample.seed}`
  return [
    ...listed,
    `reads ${Format.counted(reads, "chunk")}${of}, at most ${Format.bytes(readBytes)}${seed}`
  ]
}

const passedOver = (plan: VerifyPlan): ReadonlyArray<string> => [
  ...(plan.upToDate > 0 ? [`${Format.counted(plan.upToDate, "snapshot")} verified before`] : []),
  ...(plan.unfinished > 0 ? [`${Format.counted(plan.unfinished, "unfinished snapshot")} passed over`] : [])
]

export const planToText = (plan: VerifyPlan): string =>
  [
    ...plan.snapshots.map(
      (planned) => `would verify ${nameOf(planned)} (${Format.bytes(planned.sizeBytes)})`
    ),
    ...passedOver(plan),
    ...expectedLines(plan)
  ].join("\n")

export const toJson = (summary: VerifySummary) =>
  summary.snapshots.map((result) => ({
    snapshot: Snapshot.format(result.snapshot),
    ns: result.namespace,
    state: result.state,
    files: result.files
  }))

/** What a document that is a list of snapshots has no place for: lines on standard error. */
export const notesToJson = ({ listing, sample }: VerifySummary): ReadonlyArray<object> => [
  ...(listing === undefined
    ? []
    : [
        {
          type: "verify-listing",
          present: listing.present,
          "without-record": listing.withoutRecord,
          suspect: listing.suspect,
          absent: listing.absent,
          "not-listed": listing.notListed,
          requests: listing.requests
        }
      ]),
  ...(sample === undefined
    ? []
    : [
        {
          type: "verify-sample",
          percent: sample.percent,
          seed: sample.seed,
          chunks: sample.chunks,
          good: sample.good,
          confidence: Confidence.confidence,
          ...(sample.corruptShareBelow === undefined
            ? {}
            : { "corrupt-share-below": sample.corruptShareBelow })
        }
      ])
]

const listingLines = ({ listing }: VerifySummary): ReadonlyArray<string> => {
  if (listing === undefined) return []
  const { absent, notListed, present, requests, suspect, withoutRecord } = listing
  const parts = [
    `${Format.counted(present, "chunk")} present`,
    ...(withoutRecord > 0 ? [`${Format.count(withoutRecord)} of them without a record of their upload`] : []),
    ...(suspect > 0 ? [`${Format.count(suspect)} not as uploaded`] : []),
    ...(absent > 0 ? [`${Format.count(absent)} not there`] : []),
    ...(notListed > 0 ? [`${Format.count(notListed)} not looked at`] : [])
  ]
  const by = requests > 0 ? ` (${Format.counted(requests, "list request")})` : ""
  return [`looked for: ${parts.join(", ")}${by}`]
}

const shareDigits = 3

/** Rounded up, so that it stays true. */
const percentAbove = (share: number): string => {
  const percent = share * 100
  const unit = 10 ** Math.max(0, shareDigits - 1 - Math.floor(Math.log10(percent)))
  return String(Math.ceil(percent * unit) / unit)
}

const confidenceText = ({ chunks, corruptShareBelow, good }: SampleResult): string => {
  if (corruptShareBelow === undefined) return ""
  if (corruptShareBelow === 0) return `: none of the ${Format.counted(chunks, "chunk")} is corrupt`
  const confidence = `with ${Confidence.confidence * 100} % confidence`
  return good === 0
    ? ""
    : `: ${confidence} less than ${percentAbove(corruptShareBelow)} % of the chunks are corrupt`
}

const sampleLines = ({ sample }: VerifySummary): ReadonlyArray<string> => {
  if (sample === undefined) return []
  const { chunks, good, percent, seed } = sample
  return [
    `sample of ${percent} % (seed ${seed}): ${Format.count(good)} of ${Format.counted(chunks, "chunk")} ` +
      `read and found good${confidenceText(sample)}`
  ]
}

export const toText = (summary: VerifySummary, plan: VerifyPlan, seconds: number): string => {
  const { statistics } = summary
  const lines = summary.snapshots.flatMap((result) => [
    `${result.state.padEnd(8)} ${nameOf(result)}`,
    ...result.files.flatMap(({ filename, errors }) => errors.map((error) => `         ${filename}: ${error}`))
  ])
  const rate = Format.rate(statistics.storedBytes, seconds)
  const stored = `${Format.counted(statistics.chunks, "chunk")}, ${Format.bytes(statistics.storedBytes)}`
  return [
    ...lines,
    ...passedOver(plan),
    ...listingLines(summary),
    `read ${stored} in ${Format.duration(seconds)} (${rate})`,
    ...sampleLines(summary)
  ].join("\n")
}
