/** What tests of `granary sync` share: a folder to work in, the program, and small backups. */
import { assert } from "@effect/vitest"
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { type Ended, fastFolder } from "../e2e/cli.ts"
import { granaryHere } from "./inProcess.ts"

/** The day of a snapshot, as its folder is called. */
export const day = (number: number): string => `2026-11-${String(number).padStart(2, "0")}T10:00:00Z`

/** The folders of a group's snapshots. */
export const namesIn = (store: string, group: string): ReadonlyArray<string> =>
  existsSync(path.join(store, group))
    ? readdirSync(path.join(store, group))
        .filter((name) => /^\d/.test(name))
        .toSorted()
    : []

export interface Summary {
  readonly groups: ReadonlyArray<Record<string, unknown>>
  readonly removed: Record<string, number>
  readonly chunks: number
  readonly bytes: number
  readonly [key: string]: unknown
}

export const makeScene = () => {
  const folder = fastFolder()
  const inFolder = (name: string): string => path.join(folder.path, name)
  writeFileSync(inFolder("note"), "a note")

  const run = (...args: ReadonlyArray<string>): Promise<Ended> =>
    granaryHere(args, { HOME: folder.path, XDG_CONFIG_HOME: inFolder("config") })

  const succeed = async (...args: ReadonlyArray<string>): Promise<Ended> => {
    const ended = await run(...args)
    assert.strictEqual(ended.code, 0, `granary ${args.join(" ")}: ${ended.errors}`)
    return ended
  }

  const contentOf = (id: string, number: number): Buffer => Buffer.alloc(10_000, `${id} ${number}`)

  /** One small image, which is one chunk, and one small file. */
  const backUp = (store: string, id: string, number: number, ...rest: ReadonlyArray<string>) => {
    writeFileSync(inFolder("disk"), contentOf(id, number))
    const archives = [`disk.img:${inFolder("disk")}`, `note.conf:${inFolder("note")}`]
    const names = ["-r", store, "--backup-id", id, "--backup-time", day(number)]
    return succeed("backup", ...names, ...rest, ...archives)
  }

  const sync = async (...args: ReadonlyArray<string>): Promise<Summary> =>
    JSON.parse((await succeed("sync", ...args, "--output", "json")).text)

  return { folder, inFolder, run, succeed, contentOf, backUp, sync }
}
