/** How numbers, times and names are written for people. */

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** `1536` becomes `1.5 KiB`. */
export const bytes = (count: number): string => {
  let value = count
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`
}

/** `1234567` becomes `1,234,567`. Only for whole numbers. Asking for a locale would take a command some 10 ms more. */
export const count = (value: number): string => String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ",")

const plural = (noun: string): string => (noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`)

/** `1 file`, `2 files`, `3 directories`. */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${value === 1 ? noun : plural(noun)}`

export const rate = (byteCount: number, seconds: number): string =>
  seconds <= 0 ? "-" : `${bytes(byteCount / seconds)}/s`

/** `75` becomes `1:15`. */
export const duration = (seconds: number): string => {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = String(whole % 60).padStart(2, "0")
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`
}

export const percent = (part: number, whole: number): string =>
  whole === 0 ? "0%" : `${((part / whole) * 100).toFixed(1)}%`

/** Aligns columns; numbers to the right. */
export const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const isNumeric = header.map((_, column) =>
    rows.every((row) => /^[\d.,]*( [KMGTP]?i?B)?$/.test(row[column] ?? ""))
  )
  const line = (row: ReadonlyArray<string>): string =>
    row
      .map((cell, column) =>
        isNumeric[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
      )
      .join("  ")
      .trimEnd()
  return all.map(line).join("\n")
}

/**
 * Names come from file systems and archives and may hold anything: control characters are shown as escapes, so that no
 * name can play tricks on a terminal.
 */
export const name = (raw: Uint8Array | string): string => {
  const text = typeof raw === "string" ? raw : new TextDecoder().decode(raw)
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
  })
}

/** The name as text when it is valid UTF-8. */
export const utf8 = (raw: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw)
  } catch {
    return undefined
  }
}
