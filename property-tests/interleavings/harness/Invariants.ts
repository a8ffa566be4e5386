/**
 * Invariants: what must hold of a store at every instant, whoever is at work in it (the ledger's I1, I2 and I4).
 *
 * Each is a plain function from what lies on the disk to what is wrong with it. What a scenario itself has damaged
 * before anybody began is excused, by name and no further.
 */
import type { Soundness, StoreView } from "./StoreView.ts"

/** What a session was told when it ended well. */
export interface Acknowledged {
  /** The snapshot's name, `host/a/<time>`, in whatever namespace it is now. */
  readonly snapshot: string
  readonly digests: ReadonlyArray<string>
}

export interface Expectations {
  readonly acknowledged: ReadonlyArray<Acknowledged>
  /** Names of snapshots that somebody set out to remove. */
  readonly givenUp: ReadonlySet<string>
  /** Whether a chunk may be like that, because the scenario damaged it. */
  readonly excuses?: (snapshot: string, digest: string, state: Soundness | "absent") => boolean
}

const short = (digest: string): string => digest.slice(0, 8)

/** I1: every chunk that a finished snapshot names is there with the right content, or is reported. */
const safety = (view: StoreView, { excuses }: Expectations): string | undefined => {
  for (const { digests, faults, isFinished, isReported, path } of view.snapshots) {
    if (!isFinished) continue
    const [fault] = faults
    if (fault !== undefined) return `I1: ${path}: ${fault}`
    for (const digest of digests) {
      const state = view.chunks.get(digest) ?? "absent"
      if (state === "good" || isReported || view.bad.has(digest)) continue
      if (excuses?.(path, digest, state) !== true)
        return `I1: ${path} names chunk ${short(digest)}, which is ${state}`
    }
  }
  return undefined
}

/** I2: a snapshot that was acknowledged is there, finished, with everything that was acknowledged, until it is given up. */
const keeping = (view: StoreView, { acknowledged, givenUp }: Expectations): string | undefined => {
  for (const { digests, snapshot } of acknowledged) {
    if (givenUp.has(snapshot)) continue
    const found = view.snapshots.find(({ isFinished, path }) => isFinished && path.endsWith(snapshot))
    if (found === undefined) return `I2: ${snapshot} was acknowledged and is not there`
    const missing = digests.find((digest) => !found.digests.includes(digest))
    if (missing !== undefined) return `I2: ${snapshot} does not name chunk ${short(missing)} any more`
  }
  return undefined
}

/** I4: only wrong content is ever condemned. */
const justice = (view: StoreView): string | undefined => {
  for (const [digest, copies] of view.bad) {
    if (copies.includes("good")) return `I4: chunk ${short(digest)} is good and was condemned`
  }
  return undefined
}

/** What is wrong; undefined when everything holds. */
export const complaint = (view: StoreView, expectations: Expectations): string | undefined =>
  safety(view, expectations) ?? keeping(view, expectations) ?? justice(view)

/** I5, for a store that has been collected twice, long after everybody had ended: nothing is left over. */
export const leftovers = (view: StoreView): string | undefined => {
  const needed = new Set(view.snapshots.flatMap(({ digests }) => digests))
  for (const digest of view.chunks.keys()) {
    if (!needed.has(digest)) return `I5: chunk ${short(digest)}, which nobody names, was not collected`
  }
  for (const digest of view.bad.keys()) {
    if (!needed.has(digest) || view.chunks.get(digest) === "good") {
      return `I5: a condemned copy of chunk ${short(digest)} was not collected`
    }
  }
  if (view.temporaries.length > 0) return `I5: ${view.temporaries[0]} was not collected`
  return view.leases === 0 ? undefined : `I5: ${view.leases} leases of dead writers were not collected`
}
