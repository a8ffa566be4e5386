/**
 * Confidence: what a sample says of the whole. Pure arithmetic.
 *
 * Of `total` chunks `read` were picked at random and found good. Had `corrupt` of all been corrupt, such a sample would
 * have come out with the probability C(total - corrupt, read) / C(total, read) (hypergeometric). Numbers for which that
 * is less than one in twenty are excluded with 95 % confidence.
 */

/** The confidence that is stated. */
export const confidence = 0.95

/** The largest number of corrupt chunks that is not excluded. */
export const corruptMax = (total: number, read: number): number => {
  const limit = Math.log(1 - confidence)
  let logarithm = 0
  for (let corrupt = 1; corrupt <= total - read; corrupt++) {
    // One more corrupt chunk: the factor by which a good sample becomes less likely.
    logarithm += Math.log((total - read - corrupt + 1) / (total - corrupt + 1))
    if (logarithm <= limit) return corrupt - 1
  }
  return total - read
}

/**
 * What may be said: less than this share of all chunks is corrupt, from 0 to 1; 0 when all were read, undefined when
 * nothing can be said.
 */
export const corruptShareBelow = (total: number, read: number): number | undefined => {
  if (read >= total) return 0
  const most = corruptMax(total, read)
  return most + 1 >= total ? undefined : (most + 1) / total
}
