/**
 * TaskIds: names for the tasks that this process runs, in Proxmox's form, for what a task leaves behind in a datastore:
 * a manifest's verify state tells by it who found the state and when. One id a task, taken when the task begins.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AuthId } from "../model/AuthId.ts"
import * as TaskId from "../model/TaskId.ts"
import { Entropy } from "./Entropy.ts"
import { Host } from "./Host.ts"

/** What a task is, as far as the machine does not know it by itself. */
export interface TaskPurpose {
  /** PBS's word for it: `backup`, `verify`. */
  readonly workerType: string
  /** What it works on. */
  readonly workerId: string
  readonly authId: AuthId
}

/** The text form of the id of a task that begins now. */
export const begin = (purpose: TaskPurpose): Effect.Effect<string> =>
  Effect.gen(function* () {
    const host = yield* Host
    const entropy = yield* Entropy
    const starttime = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    return TaskId.format(
      TaskId.make({
        node: host.nodeName,
        pid: host.pid,
        pstart: host.processStart,
        taskId: Buffer.from(entropy(4)).readUInt32LE(),
        starttime,
        ...purpose
      })
    )
  })
