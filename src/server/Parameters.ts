/**
 * Parameters: what a call may be given, and how it is told what is wrong with what it was given. Names, rules and
 * sentences are Proxmox Backup Server's: unknown parameters are refused, and all problems are told at once.
 *
 * Invariant: what `check` answers has passed the rule of every parameter; nothing else of a request is ever used.
 */
import * as Effect from "effect/Effect"
import * as ArchiveNames from "../model/ArchiveName.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as BackupTime from "../model/BackupTime.ts"
import * as Digest from "../model/Digest.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespaces from "../model/Namespace.ts"
import * as SafeId from "../model/SafeId.ts"
import { ApiError } from "./ApiError.ts"

/** A text of a query, or a value out of a JSON body. */
export type Given = unknown

/** Why a value will not do. */
export interface Wrong {
  readonly wrong: string
}

export interface Rule<A> {
  readonly decode: (given: Given) => A | Wrong
  readonly isOptional?: true
}

export interface Rules {
  readonly [name: string]: Rule<unknown>
}

/** What a call has been given, with undefined for what it has not. */
export type Values<R extends Rules> = {
  readonly [Name in keyof R]: R[Name] extends Rule<infer A>
    ? R[Name] extends { readonly isOptional: true }
      ? A | undefined
      : A
    : never
}

const wrong = (text: string): Wrong => ({ wrong: text })

const isWrong = (value: unknown): value is Wrong =>
  typeof value === "object" && value !== null && "wrong" in value

const patternMismatch = wrong("value does not match the regex pattern")

export const optional = <A>(rule: Rule<A>): Rule<A> & { readonly isOptional: true } => ({
  ...rule,
  isOptional: true
})

export const text = (lengthMin = 0, lengthMax = 64 * 1024): Rule<string> => ({
  decode: (given) => {
    if (typeof given !== "string") return wrong("Expected string value.")
    if (given.length < lengthMin) return wrong(`value must be at least ${lengthMin} characters long`)
    return given.length > lengthMax ? wrong(`value may only be ${lengthMax} characters long`) : given
  }
})

const textThat = <A>(decode: (given: string) => A | Wrong): Rule<A> => ({
  decode: (given) => (typeof given === "string" ? decode(given) : wrong("Expected string value."))
})

export const matching = (pattern: RegExp): Rule<string> =>
  textThat((given) => (pattern.test(given) ? given : patternMismatch))

/** Names of the model, which throw what they do not like. */
const named = <A>(parse: (given: string) => A): Rule<A> =>
  textThat((given) => {
    try {
      return parse(given)
    } catch (error) {
      if (error instanceof InvalidName) return patternMismatch
      throw error
    }
  })

export const integer = (min: number, max = Number.MAX_SAFE_INTEGER): Rule<number> => ({
  decode: (given) => {
    const isDigits = typeof given === "string" && /^-?\d{1,16}$/.test(given)
    const number = isDigits ? Number(given) : given
    if (typeof number !== "number" || !Number.isSafeInteger(number)) return wrong("Expected integer value.")
    if (number < min) return wrong(`value must have a minimum value of ${min} (got ${number})`)
    return number > max ? wrong(`value must have a maximum value of ${max} (got ${number})`) : number
  }
})

const yes = ["1", "on", "yes", "true"]
const no = ["0", "off", "no", "false"]

export const boolean: Rule<boolean> = {
  decode: (given) => {
    if (typeof given === "boolean") return given
    const word = typeof given === "string" ? given.toLowerCase() : ""
    return yes.includes(word) ? true : no.includes(word) ? false : wrong("Expected boolean value.")
  }
}

export const oneOf = <const Choices extends ReadonlyArray<string>>(choices: Choices): Rule<Choices[number]> =>
  textThat(
    (given) =>
      choices.find((choice) => choice === given) ??
      wrong(`value '${given.slice(0, 60)}' is not defined in the enumeration.`)
  )

/** One text stands for a list of one. */
export const list = <A>(rule: Rule<A>): Rule<ReadonlyArray<A>> => ({
  decode: (given) => {
    const decoded: Array<A> = []
    for (const element of Array.isArray(given) ? given : [given]) {
      const value = rule.decode(element)
      if (isWrong(value)) return value
      decoded.push(value)
    }
    return decoded
  }
})

export const digest: Rule<Digest.Digest> = textThat((given) =>
  Digest.isDigest(given) ? given : patternMismatch
)

export const safeId = named((given) => SafeId.check("name", given))

/** The name of a file in a snapshot's folder; which kind it is shows later. */
export const fileName = safeId

export const namespace = named(Namespaces.parse)

export const authId = named(AuthId.parse)

export const backupType = oneOf(["vm", "ct", "host"])

export const backupId = safeId

export const backupTime = integer(1, BackupTime.maxSeconds)

/** The three of a snapshot, the two of a group, and where it lies. */
export const inNamespace = { ns: optional(namespace) }
export const ofGroup = { ...inNamespace, "backup-type": backupType, "backup-id": backupId }
export const ofSnapshot = { ...ofGroup, "backup-time": backupTime }

export const groupOf = (values: {
  readonly "backup-type": BackupGroup.BackupType
  readonly "backup-id": string
}): BackupGroup.BackupGroup => BackupGroup.make(values["backup-type"], values["backup-id"])

/** The archive that a file name stands for; undefined for what is no archive of a snapshot. */
export const archiveOf = (name: string): ArchiveNames.ArchiveName | undefined => {
  try {
    return ArchiveNames.fromFile(name)
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

const failure = (problems: ReadonlyArray<readonly [name: string, problem: string]>): ApiError => {
  const lines = problems.map(([name, problem]) => `'${name}': ${problem}`)
  const [first] = lines
  return new ApiError({
    status: 400,
    message:
      lines.length === 1
        ? `parameter verification failed - ${first}`
        : `parameter verification failed:\n${lines.map((line) => `- ${line}`).join("\n")}`,
    parameters: Object.fromEntries(problems)
  })
}

/** Names of unknown parameters that are told. */
const unknownMax = 10

/** Decodes what a call was given by its rules. */
export const check = <R extends Rules>(
  rules: R,
  given: ReadonlyMap<string, Given>
): Effect.Effect<Values<R>, ApiError> =>
  Effect.suspend(() => {
    const values: Record<string, unknown> = {}
    const problems: Array<readonly [string, string]> = []
    for (const name of Object.keys(rules).toSorted()) {
      const rule = rules[name]
      if (rule === undefined) continue
      if (!given.has(name)) {
        if (rule.isOptional !== true) problems.push([name, "parameter is missing and it is not optional."])
        continue
      }
      const value = rule.decode(given.get(name))
      if (isWrong(value)) problems.push([name, value.wrong])
      else values[name] = value
    }
    const unknown = [...given.keys()].filter((name) => !Object.hasOwn(rules, name)).slice(0, unknownMax)
    for (const name of unknown) {
      problems.push([name.slice(0, 60), "schema does not allow additional properties."])
    }
    return problems.length === 0 ? Effect.succeed(values as Values<R>) : Effect.fail(failure(problems))
  })

/** What a query gives: a name that comes again makes a list. */
export const ofQuery = (query: string): ReadonlyMap<string, Given> => {
  const given = new Map<string, Given>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "_dc") continue
    const before = given.get(name)
    given.set(
      name,
      before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
    )
  }
  return given
}

/** What a JSON body gives: an object, or nothing at all. */
export const ofJson = (body: Uint8Array): Effect.Effect<ReadonlyMap<string, Given>, ApiError> =>
  Effect.suspend(() => {
    if (body.length === 0) return Effect.succeed(new Map())
    try {
      const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        return Effect.succeed(new Map(Object.entries(value)))
      }
    } catch {
      // Told below, like everything else that is no object.
    }
    return Effect.fail(
      new ApiError({ status: 400, message: "unable to parse parameters (expected json object)" })
    )
  })
