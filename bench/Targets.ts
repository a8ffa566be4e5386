/**
 * Targets: what Granary promises about its speed, as ratios of wall times to other programs in the same run, and about
 * its memory; and whether a run kept it.
 */
import type { Measurement } from "./Measurement.ts"
import type { Program, Step } from "./Program.ts"
import type { WorkloadName } from "./Workload.ts"

/** The figures of one run. */
export interface Results {
  readonly find: (workload: WorkloadName, program: Program, step: Step) => Measurement | undefined
}

interface SpeedTarget {
  readonly title: string
  readonly workload: WorkloadName
  readonly step: Step
  readonly family: Program["family"]
  readonly ratioMax: number
  /** Which of Granary's variants; the plain one by default. */
  readonly variant?: string
}

const speedTargets: ReadonlyArray<SpeedTarget> = [
  { title: "first backup, random data", workload: "random", step: "first", family: "borg", ratioMax: 0.5 },
  { title: "first backup, random data", workload: "random", step: "first", family: "restic", ratioMax: 0.35 },
  { title: "first backup, image", workload: "image", step: "first", family: "borg", ratioMax: 0.65 },
  { title: "verify, random data", workload: "random", step: "verify", family: "restic", ratioMax: 0.4 },
  { title: "verify, random data", workload: "random", step: "verify", family: "borg", ratioMax: 0.4 },
  { title: "verify, image", workload: "image", step: "verify", family: "restic", ratioMax: 0.4 },
  { title: "verify, image", workload: "image", step: "verify", family: "borg", ratioMax: 0.4 },
  { title: "verify, tree", workload: "tree", step: "verify", family: "restic", ratioMax: 0.4 },
  { title: "verify, tree", workload: "tree", step: "verify", family: "borg", ratioMax: 0.4 },
  ...(["random", "image", "tree"] as const).flatMap((workload) =>
    (["restic", "borg"] as const).map((family) => ({
      title: `verify, ${workload}, not in memory`,
      workload,
      step: "verify cold" as const,
      family,
      ratioMax: 0.4
    }))
  ),
  { title: "restore, random data", workload: "random", step: "restore", family: "restic", ratioMax: 0.8 },
  { title: "restore, image", workload: "image", step: "restore", family: "restic", ratioMax: 0.8 },
  { title: "restore, tree", workload: "tree", step: "restore", family: "restic", ratioMax: 0.8 },
  { title: "unchanged again, tree", workload: "tree", step: "again", family: "restic", ratioMax: 1 },
  {
    title: "unchanged again, tree, by metadata as restic does",
    workload: "tree",
    step: "again",
    family: "restic",
    ratioMax: 1,
    variant: "granary, metadata"
  }
]

const memoryMaxBytes = 300 * 1024 * 1024

export interface Verdict {
  readonly title: string
  readonly target: string
  readonly measured: string
  readonly isMet: boolean
}

/** Granary without encryption against each program that was measured. */
const judgeSpeed = (results: Results, programs: ReadonlyArray<Program>): ReadonlyArray<Verdict> =>
  speedTargets.flatMap(({ title, workload, step, family, ratioMax, variant = "granary" }) => {
    const own = programs.find(({ name }) => name === variant)
    return programs
      .filter((program) => program.family === family)
      .flatMap((program) => {
        const ours = own === undefined ? undefined : results.find(workload, own, step)
        const theirs = results.find(workload, program, step)
        if (ours === undefined || theirs === undefined) return []
        const ratio = ours.wallSeconds / Math.max(0.01, theirs.wallSeconds)
        return {
          title,
          target: `at most ${ratioMax.toFixed(2)} x ${program.name}`,
          measured: `${ratio.toFixed(2)} x`,
          isMet: ratio <= ratioMax
        }
      })
  })

const judgeMemory = (
  results: Results,
  programs: ReadonlyArray<Program>,
  workloads: ReadonlyArray<WorkloadName>,
  steps: ReadonlyArray<Step>
): ReadonlyArray<Verdict> =>
  programs
    .filter(({ family }) => family === "granary")
    .map((program) => {
      const peaks = workloads.flatMap((workload) =>
        steps.map((step) => results.find(workload, program, step)?.memoryPeakBytes ?? 0)
      )
      const peakBytes = Math.max(...peaks)
      return {
        title: `peak memory of ${program.name}`,
        target: "at most 300 MiB",
        measured: `${Math.round(peakBytes / 1024 / 1024)} MiB`,
        isMet: peakBytes <= memoryMaxBytes
      }
    })

export const judge = (
  results: Results,
  programs: ReadonlyArray<Program>,
  workloads: ReadonlyArray<WorkloadName>,
  steps: ReadonlyArray<Step>
): ReadonlyArray<Verdict> => [
  ...judgeSpeed(results, programs),
  ...judgeMemory(results, programs, workloads, steps)
]
