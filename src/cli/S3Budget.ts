/** S3Budget: what `--s3-budget` allows: `put=1000,get=5000,list=100,delete=10,in=2GiB,out=500MiB`. */
import type { BudgetLimits } from "../objectstore/decorators/Budget.ts"
import { refuse } from "../model/InvalidName.ts"
import * as Sizes from "./Sizes.ts"

const names: Readonly<Record<string, keyof BudgetLimits>> = {
  put: "putRequests",
  get: "getRequests",
  list: "listRequests",
  delete: "deleteRequests",
  in: "bytesIn",
  out: "bytesOut"
}

const expected = `parts such as put=1000 or in=2GiB with commas between: ${Object.keys(names).join(", ")}`

const isSize = (name: string): boolean => name === "in" || name === "out"

const amountOf = (name: string, text: string): number | undefined => {
  if (isSize(name)) return Sizes.parse(text)
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Throws `InvalidName`. */
export const parse = (text: string): BudgetLimits => {
  const limits: { -readonly [name in keyof BudgetLimits]: number } = {}
  for (const part of text.split(",")) {
    const [name = "", amountText = "", ...more] = part.trim().split("=")
    const limit = names[name]
    const amount = amountOf(name, amountText)
    if (limit === undefined || amount === undefined || more.length > 0)
      return refuse("budget", text, expected)
    limits[limit] = amount
  }
  return limits
}
