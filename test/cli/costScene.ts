/**
 * What tests of plans share: a command's plan beside what the command then asks of the server, and the proof that
 * planning has changed nothing, neither in the bucket nor in the cache folder.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { noise } from "../backup/stores.ts"
import { changesSince, stateOf } from "../platform/folderState.ts"
import { type S3Scene, start } from "./s3Scene.ts"

export const repository = "s3:minio/test-bucket/store"

export const withScene = (title: string, test: (scene: S3Scene) => Promise<void>): void =>
  it.live(title, () => Effect.flatMap(start(), (scene) => Effect.promise(() => test(scene))), 600_000)

export interface Costs {
  readonly requests: number
  readonly "put-requests": number
  readonly "get-requests": number
  readonly "list-requests": number
  readonly "delete-requests": number
  readonly "bytes-in": number
  readonly "bytes-out": number
  readonly price?: number
  readonly currency?: string
}

interface Expected extends Costs {
  readonly "requests-are": string
  readonly "bytes-are": string
  readonly "stored-bytes": number
}

interface Planned extends Record<string, unknown> {
  readonly "s3-plan": Expected
  readonly s3: Costs
}

export const requestsOf = (costs: Costs) => ({
  put: costs["put-requests"],
  get: costs["get-requests"],
  list: costs["list-requests"],
  delete: costs["delete-requests"]
})

export const cacheOf = ({ folder }: S3Scene): string =>
  path.join(folder, "cache/granary/minio/test-bucket/store")

const bucketState = ({ endpoint }: S3Scene) =>
  endpoint.memory.keys().map((key) => [key, endpoint.memory.find(key)?.etag])

/** Plans, and proves that nothing has changed anywhere by that. */
export const planOf = async (
  scene: S3Scene,
  args: ReadonlyArray<string>,
  folders = [scene.folder]
): Promise<Planned> => {
  const before = folders.map(stateOf)
  const bucket = bucketState(scene)
  const planned = await scene.document<Planned>([...args, "--plan"])
  assert.deepStrictEqual(bucketState(scene), bucket)
  assert.deepStrictEqual(
    folders.flatMap((folder, number) => changesSince(folder, before[number] ?? new Set())),
    []
  )
  return planned
}

/** What the run said that it has used. */
export const usedBy = async (scene: S3Scene, args: ReadonlyArray<string>): Promise<Costs> => {
  const { errors } = await scene.succeed([...args, "--output", "json"])
  const lines = errors
    .trim()
    .split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line))
  const usage = lines.find(({ type }) => type === "s3-usage")
  assert.isDefined(usage, errors)
  return usage as unknown as Costs
}

/** The plan is a bound for bytes; `slack` is for what has no fixed length, such as numbers of processes. */
const assertBytes = (planned: Expected, used: Costs, slack: number): void => {
  assert.isAtMost(used["bytes-out"], planned["bytes-out"] + slack)
  assert.isAtMost(used["bytes-in"], planned["bytes-in"] + slack)
}

/** Marks for other hosts name processes, and manifests are compressed. */
const slackBytes = 64

export const assertEqualBytes = (planned: Expected, used: Costs): void => {
  assert.approximately(used["bytes-out"], planned["bytes-out"], slackBytes)
  assert.approximately(used["bytes-in"], planned["bytes-in"], slackBytes)
}

/** The run asks for exactly what the plan says. */
export const compare = async (scene: S3Scene, args: ReadonlyArray<string>) => {
  const planned = await planOf(scene, args)
  const used = await usedBy(scene, args)
  assert.deepStrictEqual(requestsOf(used), requestsOf(planned["s3-plan"]), args.join(" "))
  assertBytes(planned["s3-plan"], used, slackBytes)
  return { planned, expected: planned["s3-plan"], used }
}

export const makeSource = (folder: string): string => {
  const source = path.join(folder, "source")
  mkdirSync(source)
  writeFileSync(path.join(source, "hello.txt"), "hello, bucket")
  writeFileSync(path.join(source, "noise"), noise("noise", 9_000_000))
  writeFileSync(path.join(source, "text"), "a line of text\n".repeat(200_000))
  return source
}

/** Zeros, content, the same content, and zeros again. */
export const makeImage = (folder: string): string => {
  const image = path.join(folder, "disk")
  const content = noise("image", 4 * 1024 * 1024)
  const zeros = Buffer.alloc(8 * 1024 * 1024)
  writeFileSync(image, Buffer.concat([zeros, content, content, zeros, Buffer.from("end")]))
  return image
}

export const made = async (scene: S3Scene): Promise<string> => {
  await scene.createEndpoint()
  await scene.succeed(["init", "--backend", "s3", "-r", repository])
  return makeSource(scene.folder)
}

export const backupOf = (
  source: string,
  time: number,
  ...rest: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const told = ["--backup-id", "a", "--backup-time", String(time)]
  return ["backup", "-r", repository, `a.pxar:${source}`, ...told, ...rest]
}
