/** Prices: the table that `--prices` names, read before anything is asked of a server. */
import * as Effect from "effect/Effect"
import * as PriceTable from "../objectstore/PriceTable.ts"
import { Files } from "../platform/Files.ts"

const fileMaxBytes = 64 * 1024

export const prices = (path: string) =>
  Effect.gen(function* () {
    const content = yield* (yield* Files).readFile(path, fileMaxBytes)
    return yield* PriceTable.parse(path, new TextDecoder().decode(content))
  })
