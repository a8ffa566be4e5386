/**
 * CostText: what is asked of an S3 server and what that costs, in one form for what is expected and for what was used,
 * as text and as JSON, so that the two can be compared word by word. Pure.
 */
import * as PriceTables from "../objectstore/PriceTable.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import * as Format from "./Format.ts"

type PriceTable = PriceTables.PriceTable

const significantDigits = 3
const wholeFrom = 100

/** `0.00123 EUR`, `1,234.50 EUR`. */
export const money = (amount: number, currency: string): string => {
  const digits =
    amount >= wholeFrom
      ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
      : { maximumSignificantDigits: significantDigits }
  return `${amount.toLocaleString("en-US", digits)} ${currency}`
}

/** Without the dust of binary fractions. */
const rounded = (amount: number): number => Number(amount.toPrecision(12))

/** How sure the parts of an expectation are; what was counted is. */
type Sureness = Pick<RequestCosts.Expectation, "requestsAre" | "bytesAre">

const sure: Sureness = { requestsAre: "exactly", bytesAre: "exactly" }

/** Of nothing there is no need to say it. */
const word = (certainty: RequestCosts.Certainty, amount: number): string =>
  certainty === "exactly" || amount === 0 ? "" : `${certainty} `

/** `12 requests (4 put, 5 get, 2 list, 1 delete), 1.20 MiB sent, at most 3.00 MiB received; 0.00123 EUR`. */
export const text = (
  costs: RequestCosts.RequestCosts,
  prices: PriceTable | undefined,
  { bytesAre, requestsAre }: Sureness = sure
): string => {
  const { put, get, list, delete: deletions, receivedBytes, sentBytes } = costs
  const kinds = Object.entries({ put, get, list, delete: deletions }).filter(([, count]) => count > 0)
  const names = kinds.map(([kind, count]) => `${Format.count(count)} ${kind}`).join(", ")
  const total = RequestCosts.requestsOf(costs)
  const requests = `${Format.counted(total, "request")}${names === "" ? "" : ` (${names})`}`
  const parts = [
    `${word(requestsAre, total)}${requests}`,
    `${word(bytesAre, sentBytes)}${Format.bytes(sentBytes)} sent`,
    `${word(bytesAre, receivedBytes)}${Format.bytes(receivedBytes)} received`
  ].join(", ")
  if (prices === undefined) return parts
  const amount = PriceTables.priceOf(prices, costs)
  const certainty = RequestCosts.weaker(requestsAre, bytesAre)
  return `${parts}; ${word(certainty, amount)}${money(amount, prices.currency)}`
}

/** The same for programs. */
export const json = (costs: RequestCosts.RequestCosts, prices: PriceTable | undefined) => ({
  requests: RequestCosts.requestsOf(costs),
  "put-requests": costs.put,
  "get-requests": costs.get,
  "list-requests": costs.list,
  "delete-requests": costs.delete,
  "bytes-in": costs.receivedBytes,
  "bytes-out": costs.sentBytes,
  ...(prices === undefined
    ? {}
    : { price: rounded(PriceTables.priceOf(prices, costs)), currency: prices.currency })
})

/** `; 1.20 MiB more stored: 0.00123 EUR a month`. */
const storageText = (
  { bytesAre, storedBytes }: RequestCosts.Expectation,
  prices: PriceTable | undefined
): string => {
  if (storedBytes === 0) return ""
  const amount = Math.abs(storedBytes)
  const change = `${word(bytesAre, amount)}${Format.bytes(amount)} ${storedBytes > 0 ? "more" : "less"} stored`
  if (prices === undefined || prices.perGigabyteMonth === 0) return `; ${change}`
  return `; ${change}: ${money(PriceTables.monthlyPriceOf(prices, amount), prices.currency)} a month`
}

export const expectedText = (expected: RequestCosts.Expectation, prices: PriceTable | undefined): string =>
  `${text(expected.costs, prices, expected)}${storageText(expected, prices)}`

export const expectedJson = (
  { bytesAre, costs, requestsAre, storedBytes }: RequestCosts.Expectation,
  prices: PriceTable | undefined
) => ({
  ...json(costs, prices),
  "requests-are": requestsAre,
  "bytes-are": bytesAre,
  "stored-bytes": storedBytes,
  ...(prices === undefined
    ? {}
    : { "price-per-month": rounded(PriceTables.monthlyPriceOf(prices, storedBytes)) })
})
