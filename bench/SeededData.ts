/**
 * SeededData: bytes that are the same on every machine: incompressible ones, text-like ones, and the numbers
 * that decide where they go.
 */
import { createCipheriv, hash } from "node:crypto"

/** Uniform numbers in [0, 1), from a xorshift generator. */
export type Random = () => number

export const makeRandom = (seed: number): Random => {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Normally distributed with mean 0 and deviation 1 (Box and Muller). */
export const nextNormal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

/** Between the two, every order of magnitude as likely as the next. */
export const nextLogUniform = (random: Random, min: number, max: number): number =>
  Math.exp(Math.log(min) + random() * (Math.log(max) - Math.log(min)))

/** Fills a buffer with the next bytes of an endless stream. */
export type Filler = (target: Buffer) => void

/** A cipher's key stream: nothing compresses or repeats. */
export const makeNoise = (seed: string): Filler => {
  const cipher = createCipheriv("aes-256-ctr", hash("sha256", seed, "buffer"), Buffer.alloc(16))
  return (target) => {
    target.fill(0)
    cipher.update(target).copy(target)
  }
}

const vocabularySize = 4096
const letters = "etaoinshrdlucmfwypvbgkjqxz"

const makeVocabulary = (random: Random): ReadonlyArray<Buffer> =>
  Array.from({ length: vocabularySize }, () => {
    const length = 2 + Math.floor(random() * 9)
    const word = Array.from({ length }, () => letters[Math.floor(random() ** 2 * letters.length)])
    return Buffer.from(`${word.join("")}${random() < 0.08 ? "\n" : " "}`)
  })

/** Made-up words, few of them often: it compresses like prose and never repeats over long stretches. */
export const makeText = (seed: number): Filler => {
  const random = makeRandom(seed)
  const vocabulary = makeVocabulary(random)
  const fallback = Buffer.from(" ")
  return (target) => {
    for (let filled = 0; filled < target.length;) {
      const word = vocabulary[Math.floor(random() ** 3 * vocabularySize)] ?? fallback
      filled += word.copy(target, filled)
    }
  }
}
