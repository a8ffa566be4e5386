/**
 * TakenNumbers: numbers that a memory disk gives out, for names that nobody else has. A program that says its name has
 * numbers of its own, the same ones whatever others do.
 *
 * Invariant: no number is given out twice, unless one program takes more than all that are kept for it.
 */
import { hash } from "node:crypto"

const numbersOfProgram = 2 ** 16
const programsMax = 2 ** 12

export class TakenNumbers {
  readonly #next: Map<string, number>

  constructor(origin?: TakenNumbers) {
    this.#next = new Map(origin === undefined ? [] : origin.#next)
  }

  take(program: string): number {
    const number = this.#next.get(program) ?? this.#firstOf(program)
    this.#next.set(program, number + 1)
    return number
  }

  /** Where nobody's numbers are yet; those of nobody in particular begin at 0. */
  #firstOf(program: string): number {
    if (program === "") return 0
    const places = new Set([...this.#next.values()].map((next) => Math.floor(next / numbersOfProgram)))
    let place = 1 + (Number.parseInt(hash("sha256", program, "hex").slice(0, 8), 16) % programsMax)
    while (places.has(place)) place += 1
    return place * numbersOfProgram
  }

  /** All that decides about numbers to come. */
  get fingerprint(): string {
    return [...this.#next]
      .map(([program, next]) => `${program} ${next}`)
      .toSorted()
      .join(", ")
  }
}
