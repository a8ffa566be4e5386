/**
 * The laboratory, `granary/testing`: real services over memory doubles, under a scheduler of its own that explores the
 * order in which their fibers go on, and what can go wrong on the way. See docs/testing.md.
 *
 * ```ts
 * Explore.assertHolds(Explore.exhaustive(scenario, { preemptions: 2 }))
 * ```
 */
export { Choice, Choices, holds, holdsEffect, type Played, Schedules } from "./testing/Arbitraries.ts"
export * as Explore from "./testing/Explore.ts"
export type { CrashesOptions, ExhaustiveOptions, ExploreOptions } from "./testing/Explore.ts"
export type { MakeScenario, PctOptions, SeededOptions } from "./testing/Explore.ts"
export { type Chooser, fromPriorities, fromSchedule, fromSeed } from "./testing/Choosers.ts"
export type { PriorityOptions, RandomFaults } from "./testing/Choosers.ts"
export type { Touch } from "./testing/Footprint.ts"
export { instrument, instrumentLayer, type InstrumentOptions } from "./testing/Instrument.ts"
export { type FailureKind, judge, type Judgement, outcomeText } from "./testing/Judge.ts"
export { MemoryBucket } from "./testing/MemoryBucket.ts"
export { chooseFrom, loseAll, MemoryDisk, type MemoryDiskOptions } from "./testing/MemoryDisk.ts"
export * as MemoryFileLocks from "./testing/MemoryFileLocks.ts"
export { MemoryLockTable } from "./testing/MemoryFileLocks.ts"
export * as MemoryFiles from "./testing/MemoryFiles.ts"
export * as MemoryObjectStore from "./testing/MemoryObjectStore.ts"
export * as MemoryPlatform from "./testing/MemoryPlatform.ts"
export type { Failure, Report } from "./testing/Report.ts"
export { run, runAsync, runAsyncWith, runWith, type WorldOptions } from "./testing/Run.ts"
export type { Outcome, Run, Scenario, Verdict } from "./testing/Run.ts"
export { actor, external, inProcess, point, scheduleOf, Simulation } from "./testing/Simulation.ts"
export type { Crash, Fault, FaultAt, Parked, Schedule, Step } from "./testing/Simulation.ts"
export type { FaultBudget } from "./testing/Strategies.ts"
export type { Backend, MakeBackend } from "./testing/StoreScenarios.ts"
export * as StoreScenarios from "./testing/StoreScenarios.ts"
export { scheduleText, timeline } from "./testing/Timeline.ts"
