/**
 * ConfigFolder: the folder in which settings of this user (or this machine) lie, and its files of sections.
 *
 * Invariant: a file changes as a whole, under a lock of its own (`.s3.lck` for `s3.cfg`, as Proxmox Backup Server names
 * it), so that of two programs that change it at once neither loses what the other wrote, and a reader sees the old
 * file or the new one. Files are for their owner's eyes (mode 0600), because keys are in them.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import * as path from "node:path"
import { attempt } from "../format/attempt.ts"
import { fail as failFormat } from "../format/FormatError.ts"
import * as SectionConfig from "../format/SectionConfig.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"
import { holdSoon } from "./fileLock.ts"
import * as Generation from "./Generation.ts"

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

/** `$XDG_STATE_HOME/granary`, or `~/.local/state/granary`: for what programs tell of themselves, such as logs. */
export const defaultStatePath: Effect.Effect<string> = Effect.gen(function* () {
  const base = (yield* absolutePath("XDG_STATE_HOME")) ?? path.join(yield* homeFolder, ".local", "state")
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

export interface FileContent {
  readonly sections: ReadonlyArray<SectionConfig.Section>
  /** SHA-256 of the file; give it to `change` to change what was read and nothing else. */
  readonly digest: string
}

/** The file's sections, none when there is no file, and its digest. */
export const load = (file: SectionFile): Effect.Effect<FileContent, FilesError | ConfigError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* files
      .readFile(pathOf(file), SectionConfig.maxBytes)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(new Uint8Array(0))))
    const sections = yield* attempt(() => SectionConfig.decode(textOf(bytes))).pipe(
      Effect.mapError(
        ({ expected, found }) =>
          new ConfigError({
            subject: pathOf(file),
            detail: `expected ${expected}, found ${found}`,
            hint: "correct the file, or move it away"
          })
      )
    )
    return { sections, digest: SectionConfig.digestOf(bytes) }
  })

/** The file's sections; none when there is no file. */
export const read = (
  file: SectionFile
): Effect.Effect<ReadonlyArray<SectionConfig.Section>, FilesError | ConfigError, Files> =>
  Effect.map(load(file), ({ sections }) => sections)

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
    yield* Generation.bump(file.folder)
  })

export interface ChangeOptions {
  /** Of the file that was looked at: when it is another one meanwhile, nothing is changed. */
  readonly digest?: string | undefined
}

const changedMeanwhile = (file: SectionFile): ConfigError =>
  new ConfigError({
    subject: pathOf(file),
    detail: "somebody has changed it since it was read (its digest is another one)",
    hint: "look at it again, then repeat the change"
  })

/**
 * Changes the file under its lock; `decide` answers what it shall hold, or fails and nothing is changed. When this has
 * ended, every process sees the new sections at its next lookup (see `Generation`).
 */
export const change = <E, R>(
  file: SectionFile,
  decide: (
    sections: ReadonlyArray<SectionConfig.Section>
  ) => Effect.Effect<ReadonlyArray<SectionConfig.Section>, E, R>,
  options: ChangeOptions = {}
): Effect.Effect<void, E | FilesError | ConfigError, R | Files | FileLocks> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* makeFolders(file.folder)
      yield* holdSoon(lockPathOf(file), pathOf(file))
      const { digest, sections } = yield* load(file)
      if (options.digest !== undefined && options.digest !== digest) return yield* changedMeanwhile(file)
      yield* write(file, yield* decide(sections))
    })
  )
