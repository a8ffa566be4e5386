/**
 * VirtualClock: time that moves only when the world says so. Sleeping fibers wait in a list; the world wakes the one
 * whose time comes first, and the clock is then at that time. A sleep without end is never woken.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Sleeper<Owner> {
  readonly wakeMillis: number
  readonly owner: Owner
  readonly resume: () => void
}

export class VirtualClock<Owner> {
  readonly sleepers: Array<Sleeper<Owner>> = []
  nowMillis: number
  readonly service: Clock.Clock

  /** `withOwner` tells who sleeps, so that the dead can be taken off the list. */
  constructor(
    startMillis: number,
    withOwner: (sleep: (owner: Owner) => Effect.Effect<void>) => Effect.Effect<void>
  ) {
    this.nowMillis = startMillis
    const nanos = () => BigInt(Math.round(this.nowMillis * 1000)) * 1000n
    this.service = {
      currentTimeMillisUnsafe: () => this.nowMillis,
      currentTimeMillis: Effect.sync(() => this.nowMillis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => withOwner((owner) => this.sleep(duration, owner))
    }
  }

  private sleep(duration: Duration.Duration, owner: Owner): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const wakeMillis = this.nowMillis + Math.max(0, millis)
      const sleeper = { wakeMillis, owner, resume: () => resume(Effect.void) }
      this.sleepers.push(sleeper)
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index !== -1) this.sleepers.splice(index, 1)
      })
    })
  }

  /** Moves to the next timer and wakes its fiber; of two at the same time the one that lay down first. Tells whose. */
  wakeNext(): Owner | undefined {
    let next = 0
    for (let index = 1; index < this.sleepers.length; index++) {
      if ((this.sleepers[index]?.wakeMillis ?? 0) < (this.sleepers[next]?.wakeMillis ?? 0)) next = index
    }
    const [sleeper] = this.sleepers.splice(next, 1)
    if (sleeper === undefined) return undefined
    this.nowMillis = Math.max(this.nowMillis, sleeper.wakeMillis)
    sleeper.resume()
    return sleeper.owner
  }

  remove(isGone: (owner: Owner) => boolean): void {
    for (let index = this.sleepers.length - 1; index >= 0; index--) {
      const sleeper = this.sleepers[index]
      if (sleeper !== undefined && isGone(sleeper.owner)) this.sleepers.splice(index, 1)
    }
  }
}
