/** Sizes: numbers of bytes as people type them: `512K`, `4MiB`, `1.5GiB`. Every unit is a power of 1024. */
import { refuse } from "../model/InvalidName.ts"

const powers: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4 }

/** Throws `InvalidName`. */
export const parse = (text: string): number => {
  const [, digits = "", unit = ""] =
    /^(\d{1,15}(?:\.\d{1,6})?)\s*(?:([kmgt])(?:i?b)?|b)?$/i.exec(text.trim()) ?? []
  const sizeBytes = Math.floor(Number(digits) * 1024 ** (powers[unit.toLowerCase()] ?? 0))
  return digits !== "" && Number.isSafeInteger(sizeBytes)
    ? sizeBytes
    : refuse("size", text, "bytes such as 4194304, 512MiB or 20GiB")
}
