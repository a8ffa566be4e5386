/**
 * Walks a tree from any node down, a directory before what is in it, with a list of what is to come instead of
 * recursion: no depth is too much. Entries come in batches, for few of them are worth a step of their own.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const batchEntries = 256

/**
 * `start` and everything below it. `childrenOf` names the children of a node (none for what is no directory), `nodeOf`
 * reads one of them when its turn comes.
 */
export const walk = <Node, Child, E>(
  start: Node,
  childrenOf: (node: Node) => Effect.Effect<ReadonlyArray<Child>, E>,
  nodeOf: (parent: Node, child: Child) => Effect.Effect<Node, E>
): Stream.Stream<Node, E> =>
  Stream.suspend(() => {
    const pending: Array<{ readonly parent: Node; readonly rest: Iterator<Child> }> = []
    const more = Option.some("more" as const)

    const descend = (parent: Node) =>
      Effect.map(childrenOf(parent), (children) => {
        if (children.length > 0) pending.push({ parent, rest: children.values() })
      })

    const nextBatch = Effect.gen(function* () {
      const batch: Array<Node> = []
      for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
        if (batch.length >= batchEntries) return [batch, more] as const
        const next = level.rest.next()
        if (next.done === true) {
          pending.pop()
          continue
        }
        const node = yield* nodeOf(level.parent, next.value)
        batch.push(node)
        yield* descend(node)
      }
      return [batch, Option.none()] as const
    })

    const first = Effect.as(descend(start), [[start], more] as const)
    return Stream.paginate<"first" | "more", Node, E>("first", (step) =>
      step === "first" ? first : nextBatch
    )
  })
