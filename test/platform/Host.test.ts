import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AuthId from "../../src/model/AuthId.ts"
import * as TaskId from "../../src/model/TaskId.ts"
import { Entropy } from "../../src/platform/Entropy.ts"
import { Host } from "../../src/platform/Host.ts"

describe("Host", () => {
  it.effect("describes this process so that a task id can name it", () =>
    Effect.gen(function* () {
      const host = yield* Host
      assert.strictEqual(host.pid, process.pid)
      assert.isAbove(host.processStart, 0)
      assert.notStrictEqual(host.userName, "")
      const id = TaskId.make({
        node: host.nodeName,
        pid: host.pid,
        pstart: host.processStart,
        taskId: 0,
        starttime: 1,
        workerType: "verify",
        workerId: "",
        authId: AuthId.parse("root@pam")
      })
      assert.deepStrictEqual(TaskId.parse(TaskId.format(id)), id)
    })
  )
})

describe("Entropy", () => {
  it.effect("gives as many bytes as asked for, others each time", () =>
    Effect.gen(function* () {
      const entropy = yield* Entropy
      assert.strictEqual(entropy(16).length, 16)
      assert.notDeepEqual(entropy(16), entropy(16))
    })
  )
})
