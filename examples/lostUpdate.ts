/**
 * Finds a lost update: two actors read a counter, add one and write it back. The laboratory tries every order of their
 * steps, finds one in which an increment is lost, makes it small and prints it as a timeline.
 */
import { Context, Effect, Layer } from "effect"
import { actor, Explore, instrumentLayer } from "granary/testing"

class Counter extends Context.Service<
  Counter,
  { readonly read: Effect.Effect<number>; readonly write: (value: number) => Effect.Effect<void> }
>()("examples/Counter") {}

const scenario = () => {
  let value = 0
  const memory = Layer.succeed(Counter, {
    read: Effect.sync(() => value),
    write: (next) => Effect.sync(() => void (value = next))
  })
  const increment = Counter.use(({ read, write }) => Effect.flatMap(read, (seen) => write(seen + 1)))
  const program = Effect.all([increment.pipe(actor("left")), increment.pipe(actor("right"))], {
    concurrency: "unbounded"
  }).pipe(Effect.provide(memory.pipe(instrumentLayer(Counter))))
  return { program, check: () => value === 2 || `two increments made ${value}` }
}

const report = Explore.exhaustive(scenario)
console.log(Explore.render(report))
if (report.failure?.kind !== "Check") throw new Error("the lost update was not found")
