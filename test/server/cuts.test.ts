/**
 * Connections that are cut, at every request of a backup: before it is sent, in the middle of its body, and while its
 * answer is on its way. What is listed afterwards is whole, and the next backup goes through.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { existsSync, readdirSync } from "node:fs"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const base = 1_750_000_000

/** Small, because it is done some twenty times. */
const archives: ReadonlyArray<scene.Archive> = [
  { name: "root.pxar.didx", chunks: [scene.chunkOf(scene.content(1, 20_000))] }
]

type Ending = "before" | "within" | "after"

/** Does what comes before the request at `index`, and cuts there. */
const cutAt = async (made: scene.Scene, time: number, index: number, ending: Ending): Promise<void> => {
  const session = await scene.openSession(made, "backup", scene.snapshotQuery("cut", time))
  const requests: ReadonlyArray<scene.Request> = scene.backupRequests("cut", time, archives)
  for (const request of requests.slice(0, index)) await scene.good(session.ask(...request))
  const last = requests[index]
  if (ending === "within" && last !== undefined) sendHalf(session, last)
  if (ending === "after" && last !== undefined) void session.ask(...last).catch(() => undefined)
  if (ending !== "before") await new Promise((resolve) => setTimeout(resolve, 2))
  await session.cut()
}

const sendHalf = (session: client.Session, [method, target, asked]: scene.Request): void => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(asked.query ?? {})) query.append(name, String(value))
  const stream = session.http2.request(
    { ":method": method, ":path": `${target}?${query}` },
    { endStream: false }
  )
  stream.on("error", () => undefined)
  const { body } = asked
  if (body instanceof Uint8Array) stream.write(body.subarray(0, body.length / 2))
}

const snapshotsIn = async (made: scene.Scene): Promise<ReadonlyArray<Record<string, unknown>>> => {
  const listed = await scene.good(
    askIn(made, "/api2/json/admin/datastore/store1/snapshots", {
      query: { "backup-type": "host", "backup-id": "cut" }
    })
  )
  return Array.isArray(listed) ? listed : []
}

const askIn = (made: scene.Scene, target: string, asked: client.Asked) =>
  client.ask(made.port, target, { ...asked, headers: made.admin })

describe("a session that is cut", () => {
  it.live("at any request leaves nothing listed that is not whole", () =>
    Effect.flatMap(scene.make, (made) =>
      Effect.promise(async () => {
        const requests: ReadonlyArray<scene.Request> = scene.backupRequests("cut", base, archives)
        const count = requests.length
        const folder = path.join(made.base, "host/cut")
        let time = base
        for (let index = 0; index <= count; index++) {
          const hasBody = requests[index]?.[2].body !== undefined
          const endings: ReadonlyArray<Ending> = hasBody ? ["before", "within", "after"] : ["before", "after"]
          for (const ending of endings) {
            time += 10
            await cutAt(made, time, index, ending)
            const isUndone = () =>
              !existsSync(folder) ||
              readdirSync(folder)
                .filter((name) => name !== "owner")
                .every((name) => existsSync(path.join(folder, name, "index.json.blob")))
            await scene.eventually(isUndone, `the end of the session cut ${ending} request ${index}`)
            for (const item of await snapshotsIn(made)) {
              assert.isNumber(item["size"], `cut ${ending} request ${index}`)
              assert.lengthOf(item["files"] as ReadonlyArray<unknown>, 3)
            }
          }
        }
        // Acknowledged before the cut: there, and a reader gets it.
        await scene.backUp(made, "cut", time + 10, archives)
        const listed = await snapshotsIn(made)
        assert.isTrue(listed.some((item) => item["backup-time"] === time + 10))
        // The last request was answered before these two were cut.
        for (const moment of [time, time - 10]) {
          assert.isTrue(
            listed.some((item) => item["backup-time"] === moment),
            `${moment} is listed`
          )
        }
        assert.deepStrictEqual(readdirSync(path.join(made.base, ".granary-writers")), [])
      })
    )
  )
})
