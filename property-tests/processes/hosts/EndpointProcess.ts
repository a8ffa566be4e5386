/** The server of the stress test as the test knows it: a process (`endpointProgram.ts`), spoken with line by line. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { createInterface } from "node:readline"
import type { Place } from "../../../test/objectstore/s3/buckets.ts"

export interface EndpointProcess {
  readonly place: Place
  /** Lets so much time go by for everything in the bucket: chunks grow old, and leases of the dead run out. */
  readonly age: (seconds: number) => Promise<void>
  readonly keys: () => Promise<ReadonlyArray<string>>
  readonly end: () => Promise<void>
}

export const start = async (): Promise<EndpointProcess> => {
  const program = path.join(import.meta.dirname, "endpointProgram.ts")
  const flags = ["--conditions=development", "--disable-warning=ExperimentalWarning"]
  const child = spawn(process.execPath, [...flags, program], { stdio: ["pipe", "pipe", "inherit"] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const { done, value } = await lines.next()
    if (done === true) throw new Error("the server has ended")
    return value
  }
  const ask = (line: string): Promise<string> => {
    child.stdin.write(`${line}\n`)
    return next()
  }
  return {
    place: JSON.parse(await next()) as Place,
    age: async (seconds) => void (await ask(`age ${seconds}`)),
    keys: async () => JSON.parse(await ask("keys")) as ReadonlyArray<string>,
    end: async () => {
      const gone = once(child, "exit")
      child.stdin.end()
      await gone
    }
  }
}
