/**
 * Program: the backup programs that are compared, and the commands by which each does the same five things.
 *
 * All of them are used as their manuals say, without tuning; only what is needed to run them unattended is set.
 */
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import type { Command } from "./Measurement.ts"
import type { Workload } from "./Workload.ts"

export type Step = "init" | "first" | "again" | "verify" | "verify cold" | "restore"

export const steps: ReadonlyArray<Step> = ["init", "first", "again", "verify", "verify cold", "restore"]

/** Folders of one run; all are new. */
export interface Place {
  readonly repository: string
  /** Whatever the program keeps beside its repository. */
  readonly cache: string
  readonly target: string
}

export interface Program {
  readonly name: string
  /** Which of them share targets. */
  readonly family: "granary" | "restic" | "borg"
  /** Undefined when it is not installed. */
  readonly version: string | undefined
  readonly commands: (workload: Workload, place: Place) => Readonly<Record<Step, Command>>
}

const versionOf = (program: string, argument: string): string | undefined => {
  const ended = spawnSync(program, [argument], { encoding: "utf8" })
  return ended.status === 0 ? /\d+\.\d+(?:\.\d+)?/.exec(ended.stdout)?.[0] : undefined
}

export interface GranaryOptions {
  readonly name: string
  /** How the program is started. */
  readonly argv: Command["argv"]
  readonly version: string
  readonly keyFile?: string
  /** How directories are compared with their previous backup; `legacy` by default. */
  readonly changeDetection?: "metadata"
}

export const granary = ({ argv, changeDetection, keyFile, name, version }: GranaryOptions): Program => ({
  name,
  family: "granary",
  version,
  commands: ({ archive }, { repository, target }) => {
    const store = ["--repository", repository, ...(keyFile === undefined ? [] : ["--keyfile", keyFile])]
    const command = (...rest: ReadonlyArray<string>): Command => ({ argv: [...argv, ...rest] })
    const mode = changeDetection === undefined ? [] : ["--change-detection", changeDetection]
    const what = `${archive.name}:${archive.source}`
    const backup = command("backup", ...store, "--backup-id", "bench", ...mode, what)
    const verify = command("verify", ...store)
    const destination = archive.isDirectory ? target : path.join(target, path.basename(archive.source))
    return {
      init: command("init", repository),
      first: backup,
      again: backup,
      verify,
      "verify cold": verify,
      restore: command("restore", ...store, "host/bench", archive.name, destination)
    }
  }
})

/** Always encrypted; version 0.14 cannot choose the level of zstd, so its default stands for both. */
export const restic = (): Program => ({
  name: "restic",
  family: "restic",
  version: versionOf("restic", "version"),
  commands: ({ folder }, { cache, repository, target }) => {
    const command = (...rest: ReadonlyArray<string>): Command => ({
      argv: ["restic", ...rest],
      folder,
      environment: {
        RESTIC_REPOSITORY: repository,
        RESTIC_PASSWORD: "benchmark",
        RESTIC_CACHE_DIR: cache
      }
    })
    return {
      init: command("init"),
      first: command("backup", "."),
      again: command("backup", "."),
      verify: command("check", "--read-data"),
      "verify cold": command("check", "--read-data"),
      restore: command("restore", "latest", "--target", target)
    }
  }
})

export const borg = (name: string, options: ReadonlyArray<string>): Program => ({
  name,
  family: "borg",
  version: versionOf("borg", "--version"),
  commands: ({ folder }, { cache, repository, target }) => {
    const command = (cwd: string, ...rest: ReadonlyArray<string>): Command => ({
      argv: ["borg", ...rest],
      folder: cwd,
      environment: {
        BORG_REPO: repository,
        BORG_BASE_DIR: cache,
        BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes"
      }
    })
    return {
      init: command(folder, "init", "--encryption", "none"),
      first: command(folder, "create", ...options, "::first", "."),
      again: command(folder, "create", ...options, "::again", "."),
      verify: command(folder, "check", "--verify-data"),
      "verify cold": command(folder, "check", "--verify-data"),
      restore: command(target, "extract", "::again")
    }
  }
})
