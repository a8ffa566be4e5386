/**
 * death: a case in which somebody dies at every step in turn, by a kill or a power loss, and in which mutants are found
 * in the same way.
 */
import type { Mutation } from "./Mutation.ts"
import type { Case, Mutant } from "./Row.ts"

export type DeathKind = "kill" | "crash"

/** Mutations by the guards that they switch off. */
export type Guards = Readonly<Record<string, Mutation>>

export interface Death extends Pick<Case, "name" | "make" | "isOpaque"> {
  readonly kind: DeathKind
  readonly guards: Guards
  /** Of each mutant. */
  readonly maxRuns: number
}

export const deathCase = ({ guards, kind, maxRuns, ...rest }: Death): Case => ({
  ...rest,
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 0,
  crashes: { kinds: [kind], preemptions: { daily: 0, full: 0 } },
  mutants: Object.entries(guards).map(([guard, mutation]): Mutant => ({
    guard,
    mutation,
    by: { strategy: "crashes", kinds: [kind], preemptions: 0 },
    maxRuns
  }))
})

/** Cases of a bucket: named by what dies and how; their steps do not say what they touch. */
export const deathInBucket =
  <Trial>(aftermath: (trial: Trial) => Case["make"]) =>
  (name: string, trial: Trial, kind: DeathKind, guards: Guards = {}): Case =>
    deathCase({
      name: kind === "kill" ? `${name}, killed at any step` : `${name}, the power goes at any step`,
      isOpaque: true,
      kind,
      guards,
      make: aftermath(trial),
      maxRuns: 400
    })
