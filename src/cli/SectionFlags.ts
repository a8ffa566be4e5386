/**
 * SectionFlags: flags that have the names of the keys of a section, and become its values as they were typed: what they
 * may be is for the configuration to say.
 */
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"

export const text = (name: string, description: string, metavar = "TEXT") =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

/** `--no-NAME` says false. */
export const yesOrNo = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.optional)

const repeatedMax = 100

export const repeated = (name: string, description: string, metavar: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(`${description} (repeatable)`),
    Flag.withMetavar(metavar),
    Flag.between(0, repeatedMax)
  )

export const keep = {
  "keep-last": text("keep-last", "Keep the N newest snapshots", "N"),
  "keep-hourly": text("keep-hourly", "Keep the newest snapshot of each of N hours", "N"),
  "keep-daily": text("keep-daily", "Keep the newest snapshot of each of N days", "N"),
  "keep-weekly": text("keep-weekly", "Keep the newest snapshot of each of N weeks", "N"),
  "keep-monthly": text("keep-monthly", "Keep the newest snapshot of each of N months", "N"),
  "keep-yearly": text("keep-yearly", "Keep the newest snapshot of each of N years", "N")
} as const

/** What is taken away by an update; an empty value does the same. */
export const deletion = {
  delete: repeated("delete", "Take this setting away", "KEY")
} as const

export interface Typed {
  readonly [key: string]: Option.Option<string | boolean> | ReadonlyArray<string>
}

const textsOfKey = (value: Option.Option<string | boolean> | ReadonlyArray<string>) =>
  Array.isArray(value)
    ? value.length === 0
      ? undefined
      : value
    : Option.getOrUndefined(Option.map(value as Option.Option<string | boolean>, String))

/** The keys that were given, by their names; those to take away are empty. */
export const textsOf = (typed: Typed, deleted: ReadonlyArray<string> = []) => {
  const texts: { [key: string]: string | ReadonlyArray<string> } = {}
  for (const [key, value] of Object.entries(typed)) {
    const given = textsOfKey(value)
    if (given !== undefined) texts[key] = given
  }
  for (const key of deleted) texts[key] = ""
  return texts
}
