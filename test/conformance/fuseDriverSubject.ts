/** What the conformance suite of drivers runs on, and the words its tests share. The suite is in `fuseDriverSuite`. */
import { assert } from "@effect/vitest"
import type { MountScene } from "../fuse/MountScene.ts"

export interface FuseDriverSubject {
  /** As `test/fuse/memoryProgram.ts` knows it. */
  readonly driver: string
  /** Why it cannot be tried on this machine; undefined when it can. */
  readonly obstacle?: string | undefined
  /** All of it by default. */
  readonly can?: {
    /** Names that are not UTF-8. */
    readonly rawNames?: boolean
    /** Times to the nanosecond, and before 1970. */
    readonly exactTimes?: boolean
    /** Inodes and sizes of more than 32 bits. */
    readonly wideNumbers?: boolean
    /** ERANGE for an attribute that does not fit. */
    readonly xattrRange?: boolean
    /** SEEK_DATA and SEEK_HOLE. */
    readonly seek?: boolean
    readonly interrupt?: boolean
    /** Remembers that a name is missing. */
    readonly negativeNames?: boolean
  }
}

export type Run = (title: string, test: (scene: MountScene) => void | Promise<void>) => void

type Name = string | Uint8Array
type Request = Readonly<Record<string, unknown>>

export const decoded = (value: unknown): Buffer => Buffer.from(String(value), "base64")

export const valueOf = async (scene: MountScene, name: Name, request: Request): Promise<unknown> => {
  const { code, value } = await scene.look(name, request)
  assert.isUndefined(code, `${String(name)}: ${code}`)
  return value
}

export const codeOf = async (scene: MountScene, name: Name, request: Request): Promise<string | undefined> =>
  (await scene.look(name, request)).code

export const statOf = async (scene: MountScene, name: Name): Promise<Readonly<Record<string, string>>> =>
  (await valueOf(scene, name, { do: "stat" })) as Readonly<Record<string, string>>

export const read = (scene: MountScene, name: string, offset: number, lengthBytes: number) =>
  valueOf(scene, name, { do: "read", offset, lengthBytes })

export const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** Looks again and again until it is so. */
export const until = async (what: string, isSo: () => boolean | Promise<boolean>): Promise<void> => {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (await isSo()) return
    await pause(50)
  }
  assert.fail(`it never came to this: ${what}`)
}
