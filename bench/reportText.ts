/** reportText: what reports have in common: tables, and the middle of several rounds. */

export type Line = ReadonlyArray<string>

/** A table of Markdown; all columns but the first hold numbers. */
export const table = (head: Line, rows: ReadonlyArray<Line>): string =>
  [head, head.map((_, column) => (column === 0 ? "---" : "---:")), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")

/** Of an even number the lower one: a figure that was measured. Not a number when nothing was. */
export const middle = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}

export const number = (value: number): string => Math.round(value).toLocaleString("en-US")
