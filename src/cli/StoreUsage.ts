/**
 * StoreUsage: what a command has really asked of an S3 server, told when it is over: one line on standard error, and
 * `"s3"` in a JSON document that is an object. Commands on folders say nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Meter, Usage } from "../objectstore/decorators/metered.ts"
import type { ObjectStoreOperation } from "../objectstore/ObjectStoreError.ts"
import * as Format from "./Format.ts"

/** One for a run of the program; whoever opens a bucket puts its meter here. */
export interface StoreUsage {
  meter: Meter | undefined
}

export const StoreUsage = Context.Reference<StoreUsage>("granary/cli/StoreUsage", {
  defaultValue: () => ({ meter: undefined })
})

/** Undefined where no server was asked. */
export const read: Effect.Effect<Usage | undefined> = Effect.flatMap(StoreUsage, ({ meter }) =>
  meter === undefined ? Effect.succeed(undefined) : meter.usage
)

const counts = ({ operations }: Usage) => {
  const of = (...names: ReadonlyArray<ObjectStoreOperation>): number =>
    names.reduce((total, name) => total + operations[name].requests, 0)
  return {
    put: of("put", "putIfAbsent", "copy"),
    get: of("get", "getRange", "head"),
    list: of("list"),
    delete: of("deleteMany")
  }
}

export const toJson = (usage: Usage) => {
  const { put, get, list, delete: deletions } = counts(usage)
  return {
    requests: usage.requests,
    "put-requests": put,
    "get-requests": get,
    "list-requests": list,
    "delete-requests": deletions,
    "bytes-in": usage.bytesIn,
    "bytes-out": usage.bytesOut
  }
}

/** `s3: 12 requests (4 put, 5 get, 2 list, 1 delete), 1.2 MiB sent, 3.0 MiB received`. */
export const toText = (usage: Usage): string => {
  const kinds = Object.entries(counts(usage)).filter(([, count]) => count > 0)
  const list = kinds.map(([kind, count]) => `${Format.count(count)} ${kind}`).join(", ")
  const requests = `${Format.counted(usage.requests, "request")}${list === "" ? "" : ` (${list})`}`
  return `s3: ${requests}, ${Format.bytes(usage.bytesOut)} sent, ${Format.bytes(usage.bytesIn)} received`
}

/** What a command's last line says, in the form that the user asked for. */
export const render = (usage: Usage, output: "text" | "json"): string =>
  output === "json" ? JSON.stringify({ type: "s3-usage", ...toJson(usage) }) : toText(usage)

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** The document with the usage in it, where it has room for that. */
export const withUsage = (json: unknown): Effect.Effect<unknown> =>
  Effect.map(read, (usage) =>
    usage === undefined || !isObject(json) ? json : { ...json, s3: toJson(usage) }
  )
