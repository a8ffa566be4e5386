/**
 * Instrument: any service with a point before each of its operations, and after it if wanted.
 *
 * A method that answers an Effect parks before it runs; one that answers a function is followed into it; members that
 * are Effects park too; everything else is handed on. The operation itself stays one step. A call fails by a fault
 * only when `fail` says with which error.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Simulation } from "./Simulation.ts"

export interface InstrumentOptions {
  /** The label of a call. Default: the operation and the last part of the first text among its arguments. */
  readonly label?: (operation: string, args: ReadonlyArray<unknown>) => string
  /** The typed error of a call that is made to fail; undefined for calls that cannot. */
  readonly fail?: (operation: string, args: ReadonlyArray<unknown>) => unknown
  /**
   * Parks again after the operation, before its caller hears of it: so a crash can fall between the two, and a failure
   * there means that it has happened although it says otherwise.
   */
  readonly after?: boolean
  /** Operations that touch nothing shared, and need no point. */
  readonly except?: ReadonlyArray<string>
  /** Operations that answer a handle (`openRead`): its methods park as well, as `openRead.readAt name`. */
  readonly handles?: ReadonlyArray<string>
}

const namesShown = 24
const hexName = /^[0-9a-f]{32,}/

/** Last part of a path; of a digest the beginning tells enough. */
const shortName = (text: string): string => {
  const name = text.slice(text.lastIndexOf("/", text.length - 2) + 1)
  if (hexName.test(name)) return name.slice(0, 8) + name.replace(hexName, "")
  return name.length > namesShown ? `${name.slice(0, namesShown)}~` : name
}

const labelByDefault = (operation: string, args: ReadonlyArray<unknown>): string => {
  const text = args.find((argument) => typeof argument === "string")
  return text === undefined ? operation : `${operation} ${shortName(text)}`
}

type UnknownEffect = Effect.Effect<unknown, unknown, unknown>

const isFunction = (value: unknown): value is (...args: ReadonlyArray<unknown>) => unknown =>
  typeof value === "function"

const isEffect = (value: unknown): value is UnknownEffect => Effect.isEffect(value)

class Instrument {
  private readonly points: Simulation["Service"]
  private readonly options: InstrumentOptions

  constructor(points: Simulation["Service"], options: InstrumentOptions) {
    this.points = points
    this.options = options
  }

  private pointThen(
    label: string,
    operation: string,
    args: ReadonlyArray<unknown>,
    effect: UnknownEffect
  ): UnknownEffect {
    const { fail } = this.options
    if (fail === undefined) return Effect.andThen(this.points.point(label), effect)
    return Effect.flatMap(this.points.failPoint(label), (fails) => {
      const error = fails ? fail(operation, args) : undefined
      return error === undefined ? effect : Effect.fail(error)
    })
  }

  private guard(operation: string, args: ReadonlyArray<unknown>, effect: UnknownEffect): UnknownEffect {
    const { label = labelByDefault, after = false, handles = [] } = this.options
    const name = label(operation, args)
    const opened = handles.includes(operation)
      ? Effect.map(effect, (handle) => this.wrapHandle(operation, args, handle))
      : effect
    const acknowledged = after
      ? Effect.flatMap(Effect.exit(opened), (exit) => this.pointThen(`${name} ended`, operation, args, exit))
      : opened
    return this.pointThen(name, operation, args, acknowledged)
  }

  private wrapHandle(operation: string, outer: ReadonlyArray<unknown>, handle: unknown): unknown {
    return typeof handle === "object" && handle !== null
      ? this.wrap(handle, (member, args) => [`${operation}.${member}`, [...outer, ...args]])
      : handle
  }

  private follow(operation: string, args: ReadonlyArray<unknown>, answer: unknown): unknown {
    if (isEffect(answer)) return this.guard(operation, args, answer)
    if (!isFunction(answer)) return answer
    return (...further: ReadonlyArray<unknown>) =>
      this.follow(operation, [...args, ...further], answer(...further))
  }

  wrap<S extends object>(
    service: S,
    naming: (member: string, args: ReadonlyArray<unknown>) => readonly [string, ReadonlyArray<unknown>]
  ): S {
    const wrapped: S = Object.create(service)
    const define = (name: string, get: () => unknown) =>
      Object.defineProperty(wrapped, name, { enumerable: true, configurable: true, get })
    for (const name of memberNames(service)) {
      const member: unknown = Reflect.get(service, name)
      if (this.options.except?.includes(name) === true) continue
      if (isEffect(member)) {
        const [operation, args] = naming(name, [])
        const guarded = this.guard(operation, args, member)
        define(name, () => guarded)
      } else if (isFunction(member)) {
        const method = (...args: ReadonlyArray<unknown>) => {
          const [operation, all] = naming(name, args)
          return this.follow(operation, all, Reflect.apply(member, service, args))
        }
        define(name, () => method)
      } else define(name, () => Reflect.get(service, name))
    }
    return wrapped
  }
}

/** Own members and those of its classes, but not what every object has. */
const memberNames = (service: object): ReadonlySet<string> => {
  const names = new Set<string>()
  for (
    let at: object | null = service;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== "constructor") names.add(name)
  }
  return names
}

/** The service with a point before each of its operations. */
export const instrument = <S extends object>(
  service: S,
  options: InstrumentOptions = {}
): Effect.Effect<S, never, Simulation> =>
  Simulation.useSync((points) =>
    new Instrument(points, options).wrap(service, (member, args) => [member, args])
  )

/** A layer whose service has a point before each of its operations. */
export const instrumentLayer =
  <I, S extends object>(key: Context.Key<I, S>, options: InstrumentOptions = {}) =>
  <E, R>(layer: Layer.Layer<I, E, R>): Layer.Layer<I, E, R | Simulation> =>
    Layer.provide(
      Layer.effect(
        key,
        Effect.flatMap(key, (service) => instrument(service, options))
      ),
      layer
    )
