/** nearest: the name that somebody may have meant who wrote another one. Pure. */

/** How many letters must be put in, left out, changed or swapped with their neighbour. */
const distance = (left: string, right: string): number => {
  let before: ReadonlyArray<number> = []
  let row: ReadonlyArray<number> = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const isSame = left.charAt(i - 1) === right.charAt(j - 1)
      const isSwapped =
        left.charAt(i - 1) === right.charAt(j - 2) && left.charAt(i - 2) === right.charAt(j - 1)
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (isSame ? 0 : 1),
        i > 1 && j > 1 && isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      )
    }
    before = row
    row = next
  }
  return row[right.length] ?? 0
}

/** The nearest of the known names, if it is near enough to be meant: upper and lower case do not count. */
export const nearest = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const wanted = name.toLowerCase()
  const reach = Math.max(1, Math.floor(wanted.length / 3))
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const candidate of known) {
    if (Math.abs(candidate.length - wanted.length) > reach) continue
    const away = distance(wanted, candidate.toLowerCase())
    if (away <= reach && away < (best?.distance ?? Number.POSITIVE_INFINITY)) {
      best = { name: candidate, distance: away }
    }
  }
  return best?.name
}
