/**
 * ConfigFolder: the folder in which settings of this user (or this machine) lie, and its files of sections.
 *
 * Invariant: a file changes as a whole, under a lock of its own (`.s3.lck` for `s3.cfg`, as Proxmox Backup Server names
 * it), so that of two programs that change it at once neither loses what the other wrote, and a reader sees the old
 * file or the new one. Files are for their owner's eyes (mode 0600), because keys are in them.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import * as path from "node:path"
import { attempt } from "../format/attempt.ts"
import { fail as failFormat } from "../format/FormatError.ts"
import * as SectionConfig from "../format/SectionConfig.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"

const fileMode = 0o600
const folderMode = 0o700

/** A variable that holds an absolute path; anything else does not count, as the XDG rules say. */
const absolutePath = (variable: string): Effect.Effect<string | undefined> =>
  Config.option(Config.String(variable)).pipe(
    Effect.orElseSucceed(() => Option.none<string>()),
    Effect.map((found) => Option.getOrUndefined(Option.filter(found, path.isAbsolute)))
  )

const homeFolder = Effect.map(absolutePath("HOME"), (home) => home ?? os.homedir())

/** `$XDG_CONFIG_HOME/granary`, or `~/.config/granary`. */
export const defaultPath: Effect.Effect<string> = Effect.gen(function* () {
  const base = (yield* absolutePath("XDG_CONFIG_HOME")) ?? path.join(yield* homeFolder, ".config")
  return path.join(base, "granary")
})

/** `$XDG_CACHE_HOME/granary`, or `~/.cache/granary`: for what can be had again. */
export const defaultCachePath: Effect.Effect<string> = Effect.gen(function* () {
  const base = (yield* absolutePath("XDG_CACHE_HOME")) ?? path.join(yield* homeFolder, ".cache")
  return path.join(base, "granary")
})

/** Makes a folder and those above it, as far as they are missing. */
export const makeFolders = (folder: string, mode = folderMode): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* files.makeDirectory(folder, mode).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "NotFound" && path.dirname(folder) !== folder,
        () => Effect.andThen(makeFolders(path.dirname(folder), mode), files.makeDirectory(folder, mode))
      ),
      Effect.catchIf(
        ({ reason }) => reason === "AlreadyExists",
        () => Effect.void
      )
    )
  })

/** One file of sections. */
export interface SectionFile {
  readonly folder: string
  /** Such as `s3.cfg`. */
  readonly name: string
}

export const pathOf = ({ folder, name }: SectionFile): string => path.join(folder, name)

const lockPathOf = ({ folder, name }: SectionFile): string =>
  path.join(folder, `.${name.replace(/\.cfg$/, "")}.lck`)

/** What is not UTF-8 would not survive a rewrite. */
const textOf = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return failFormat("configuration", 0, "text in UTF-8", "other bytes")
  }
}

/** The file's sections; none when there is no file. */
export const read = (
  file: SectionFile
): Effect.Effect<ReadonlyArray<SectionConfig.Section>, FilesError | ConfigError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* files
      .readFile(pathOf(file), SectionConfig.maxBytes)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(new Uint8Array(0))))
    return yield* attempt(() => SectionConfig.decode(textOf(bytes))).pipe(
      Effect.mapError(
        ({ expected, found }) =>
          new ConfigError({
            subject: pathOf(file),
            detail: `expected ${expected}, found ${found}`,
            hint: "correct the file, or move it away"
          })
      )
    )
  })

const write = (file: SectionFile, sections: ReadonlyArray<SectionConfig.Section>) =>
  Effect.gen(function* () {
    const files = yield* Files
    const text = yield* attempt(() => SectionConfig.encode(sections)).pipe(
      Effect.mapError(
        ({ expected }) =>
          new ConfigError({
            subject: pathOf(file),
            detail: `it cannot hold what was given: expected ${expected}`,
            hint: "leave out line breaks and control characters"
          })
      )
    )
    yield* files.replaceFile(pathOf(file), [Buffer.from(text)], { mode: fileMode, sync: true })
  })

const lockPollMillis = 50
const lockWaitMaxMillis = 10_000

const lock = (file: SectionFile) =>
  Effect.gen(function* () {
    const locks = yield* FileLocks
    const startMillis = yield* Clock.currentTimeMillis
    const range = { offset: 0, length: 1 }
    while (!(yield* locks.tryLock(lockPathOf(file), range, "exclusive"))) {
      if ((yield* Clock.currentTimeMillis) - startMillis > lockWaitMaxMillis) {
        const detail = "another program has been changing it for more than 10 seconds"
        return yield* new ConfigError({ subject: pathOf(file), detail, hint: "try again later" })
      }
      yield* Effect.sleep(lockPollMillis)
    }
  })

/** Changes the file under its lock; `decide` answers what it shall hold, or fails and nothing is changed. */
export const change = <E, R>(
  file: SectionFile,
  decide: (
    sections: ReadonlyArray<SectionConfig.Section>
  ) => Effect.Effect<ReadonlyArray<SectionConfig.Section>, E, R>
): Effect.Effect<void, E | FilesError | ConfigError, R | Files | FileLocks> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* makeFolders(file.folder)
      yield* lock(file)
      yield* write(file, yield* decide(yield* read(file)))
    })
  )
