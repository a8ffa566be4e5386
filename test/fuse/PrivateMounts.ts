/**
 * Mounts that nobody else sees, for tests that start the program itself: a process holds them, and every command is
 * run among them, with a hard limit. `close` ends whatever was mounted there.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { program } from "../e2e/programPath.ts"

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** A store of 65,536 folders is made in memory much faster than on a disk. */
const scratchFolder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

const limitSeconds = 120

/** Which mounts a process sees. */
const mountsOf = (pid: number | string): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return undefined
  }
}

export class PrivateMounts {
  readonly folder = mkdtempSync(path.join(scratchFolder, "granary-mounts-"))
  readonly #holder: ChildProcess = spawn("unshare", ["-m", "--propagation", "private", "--", "sleep", "600"])

  seesEverybodys(everybodys: string | undefined): boolean {
    const own = mountsOf(this.#holder.pid ?? 0)
    return own === undefined || own === everybodys
  }

  /** An empty directory of this name. */
  directory(name: string): string {
    const directory = path.join(this.folder, name)
    mkdirSync(directory, { recursive: true })
    return directory
  }

  #command(command: ReadonlyArray<string>): ReadonlyArray<string> {
    const pid = String(this.#holder.pid)
    return ["-t", pid, "-m", "--", "timeout", "-s", "KILL", String(limitSeconds), ...command]
  }

  /** Logs are written below, too. */
  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, XDG_STATE_HOME: path.join(this.folder, "state") }
  }

  run(...command: ReadonlyArray<string>): Outcome {
    const { status, stderr, stdout } = spawnSync("nsenter", this.#command(command), {
      encoding: "utf8",
      env: this.#environment,
      cwd: this.folder,
      maxBuffer: 64 * 1024 * 1024
    })
    return { code: status, out: stdout, error: stderr }
  }

  shell(script: string, ...parameters: ReadonlyArray<string>): Outcome {
    return this.run("sh", "-ec", script, "sh", ...parameters)
  }

  start(...command: ReadonlyArray<string>): ChildProcess {
    return spawn("nsenter", this.#command(command), {
      cwd: this.folder,
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe"]
    })
  }

  /** How the program is called. */
  granary(...words: ReadonlyArray<string>): ReadonlyArray<string> {
    return [process.execPath, program, ...words]
  }

  /** What of ours is mounted, by mountpoint. */
  mounted(): ReadonlyArray<string> {
    const { out } = this.run("cat", "/proc/self/mountinfo")
    const lines = out.split("\n").filter((line) => line.includes(" - fuse.granary "))
    return lines.map((line) => line.split(" ")[4] ?? "")
  }

  /** Ends every process that sees these mounts, so that the mounts are gone. */
  close(): void {
    const ours = mountsOf(this.#holder.pid ?? 0)
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (ours === undefined || ours === mountsOf("self") || mountsOf(pid) !== ours) continue
      try {
        process.kill(Number(pid), "SIGKILL")
      } catch {
        // It has ended by itself meanwhile.
      }
    }
    this.#holder.kill("SIGKILL")
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The holder is `unshare` for a moment, which still sees everybody's mounts. */
export const openPrivateMounts = async (): Promise<PrivateMounts> => {
  const mounts = new PrivateMounts()
  const everybodys = mountsOf("self")
  for (let attempt = 0; attempt < 200; attempt++) {
    if (!mounts.seesEverybodys(everybodys)) return mounts
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error("no mounts of one's own")
}
