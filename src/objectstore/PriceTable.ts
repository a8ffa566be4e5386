/**
 * PriceTable: what a provider takes for requests, for what is sent out, and for what is stored; read from JSON, and
 * what costs come to by it.
 *
 * A gigabyte is 1,000,000,000 bytes here. Providers who bill by 2^30 bytes take a little less.
 *
 * Invariant: a table that says anything unknown, or a price below zero, is refused: nobody shall reckon with half of
 * one.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RequestCosts } from "./RequestCosts.ts"

const Price = Schema.Finite.pipe(Schema.check(Schema.isGreaterThanOrEqualTo(0)))

const currencyPattern = /^\p{L}{1,10}$|^\p{Sc}$/u

/** As it is written. */
const Table = Schema.Struct({
  currency: Schema.String.pipe(
    Schema.check(Schema.isPattern(currencyPattern, { message: "Expected a currency such as EUR" }))
  ),
  "put-per-1000": Price,
  "list-per-1000": Schema.optionalKey(Price),
  "get-per-1000": Price,
  "delete-per-1000": Schema.optionalKey(Price),
  "egress-per-gb": Price,
  "storage-per-gb-month": Schema.optionalKey(Price)
})

export interface PriceTable {
  readonly currency: string
  /** Of put and copy requests. */
  readonly perThousandPuts: number
  readonly perThousandLists: number
  readonly perThousandGets: number
  readonly perThousandDeletes: number
  readonly perGigabyteReceived: number
  readonly perGigabyteMonth: number
}

export class PriceTableError extends Data.TaggedError("PriceTableError")<{
  /** Where it was read from. */
  readonly path: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.path} is no price table: ${this.detail}`
  }

  get hint(): string {
    return (
      '{"currency":"EUR","put-per-1000":0.005,"get-per-1000":0.0004,"egress-per-gb":0.09}, and if need be ' +
      "list-per-1000 (else as put), delete-per-1000 (else 0), storage-per-gb-month (else 0)"
    )
  }
}

const decodeTable = Schema.decodeUnknownEffect(Schema.fromJsonString(Table), { onExcessProperty: "error" })

const detailOf = (message: string): string =>
  message.replace("Expected no excess property", "Unknown key").replaceAll(/\s*\n\s*/g, " ")

/** The table in the content of a file. */
export const parse = (path: string, text: string): Effect.Effect<PriceTable, PriceTableError> =>
  decodeTable(text).pipe(
    Effect.map((table) => ({
      currency: table.currency,
      perThousandPuts: table["put-per-1000"],
      perThousandLists: table["list-per-1000"] ?? table["put-per-1000"],
      perThousandGets: table["get-per-1000"],
      perThousandDeletes: table["delete-per-1000"] ?? 0,
      perGigabyteReceived: table["egress-per-gb"],
      perGigabyteMonth: table["storage-per-gb-month"] ?? 0
    })),
    Effect.mapError(({ message }) => new PriceTableError({ path, detail: detailOf(message) }))
  )

const thousand = 1000
const gigabyte = 1_000_000_000

/** Money for requests and for what comes back. What is sent in costs nothing anywhere. */
export const priceOf = (table: PriceTable, costs: RequestCosts): number =>
  (costs.put * table.perThousandPuts +
    costs.list * table.perThousandLists +
    costs.get * table.perThousandGets +
    costs.delete * table.perThousandDeletes) /
    thousand +
  (costs.receivedBytes * table.perGigabyteReceived) / gigabyte

/** Money that storing so much costs each month. */
export const monthlyPriceOf = (table: PriceTable, storedBytes: number): number =>
  (storedBytes * table.perGigabyteMonth) / gigabyte
