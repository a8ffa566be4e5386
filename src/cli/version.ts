/** The version of this package, as package.json states it. */
import { createRequire } from "node:module"

const read = (): string => {
  const found: unknown = createRequire(import.meta.url)("../../package.json")
  return typeof found === "object" && found !== null && "version" in found ? String(found.version) : "unknown"
}

export const version = read()
