/**
 * One restore as a synchronous machine: the archive goes in by `push`, files come out on disk, and `run`
 * works until it needs something, which it tells as a `Wish`. Whoever drives it (`Extractor`) does the
 * waiting.
 *
 * Holds the target folder, the open directories and the file being written; `close` lets go of them and
 * removes a file that is not whole. Throws `ExtractError` and `FormatError`.
 */
import { closeSync } from "node:fs"
import { Decoder, type Event } from "../../format/pxar/Decoder.ts"
import {
  checkName,
  type DirectoryEntry,
  type Entry,
  type FileEntry,
  type HardlinkEntry
} from "../../format/pxar/Entry.ts"
import { HEADER_BYTES } from "../../format/pxar/Items.ts"
import { checkPayloadHeader } from "../../format/pxar/PayloadStream.ts"
import type { PathPattern } from "../../model/PathPattern.ts"
import { DirectoryStack } from "./DirectoryStack.ts"
import { EntryMaker } from "./EntryMaker.ts"
import { displayPath } from "./ExtractError.ts"
import { PathBuffer } from "./PathBuffer.ts"
import { isNewer, type Overwrite, Placement } from "./Placement.ts"
import { type ExtractSummary, type ExtractWarning, Report } from "./Report.ts"
import { RestoredFiles } from "./RestoredFiles.ts"
import { Selection } from "./Selection.ts"
import { openTarget, type Target } from "./Target.ts"

export interface ExtractionOptions {
  /**
   * Made if it is missing, open to its owner only; gets the metadata of the root when all of an archive is
   * restored.
   */
  readonly target: string
  readonly includes: ReadonlyArray<PathPattern>
  readonly excludes: ReadonlyArray<PathPattern>
  /**
   * What happens to existing things of an entry's name. "never" keeps them and warns; "always" replaces them;
   * "newer" replaces what is older than the archive's. Existing directories are entered in any case and only
   * get the metadata of the archive where a file would be replaced; they are not emptied, and never give way
   * to something else.
   */
  readonly overwrite: Overwrite
  readonly onWarning?: ((warning: ExtractWarning) => void) | undefined
  /** Directories kept open at a time. */
  readonly openLimit?: number | undefined
}

/** What the machine cannot go on without. */
export type Wish =
  | { readonly kind: "more" }
  /** The next bytes of the archive are not needed. */
  | { readonly kind: "skip"; readonly countBytes: number }
  /** The content of the file just begun, which lies in the payload stream. */
  | { readonly kind: "payload"; readonly file: FileEntry }
  /** A file that was passed over when its turn was, for the sake of a hard link to it. */
  | { readonly kind: "reread"; readonly link: PendingLink }

export interface PendingLink {
  readonly name: Uint8Array
  readonly fileOffset: number
  readonly entry: HardlinkEntry
}

/** The part of the payload stream that is at hand. */
export interface PayloadView {
  readonly view: (offset: number, limit: number) => Uint8Array
}

export interface ExtractProgress {
  readonly entryCount: number
  readonly contentBytes: number
  /** Of the entry at hand. */
  readonly path: Uint8Array
}

type EntryEvent = Extract<Event, { readonly kind: "entry" }>

const MORE: Wish = { kind: "more" }

export class Extraction {
  readonly #target: Target
  readonly #decoder = new Decoder()
  readonly #path = new PathBuffer()
  readonly #selection: Selection
  readonly #placement: Placement
  readonly #report: Report
  readonly #directories: DirectoryStack
  readonly #maker: EntryMaker
  readonly #payload: PayloadView | undefined

  /** Opens the target folder. */
  constructor(options: ExtractionOptions, payload: PayloadView | undefined) {
    const files = new RestoredFiles()
    this.#selection = new Selection(options.includes, options.excludes)
    const report = new Report(this.#path, options.onWarning)
    const placement = new Placement(options.overwrite, report)
    this.#target = openTarget(options.target)
    const targetFd = this.#target.fd
    const shared = { targetFd, placement, files, report }
    const directories = new DirectoryStack({ ...shared, path: this.#path }, options.openLimit)
    this.#report = report
    this.#placement = placement
    this.#directories = directories
    this.#maker = new EntryMaker({ ...shared, directories })
    this.#payload = payload
  }

  get progress(): ExtractProgress {
    const { contentBytes, entryCount } = this.#report
    return { entryCount, contentBytes, path: this.#path.bytes.slice() }
  }

  push(piece: Uint8Array): void {
    this.#decoder.push(piece)
  }

  /** Works on what was pushed. When it asks for more, the memory of the pushed pieces is free again. */
  run(): Wish {
    return this.#guard(() => {
      for (;;) {
        const event = this.#decoder.next()
        if (event === undefined) {
          this.#decoder.detach()
          return MORE
        }
        const wish = this.#accept(event)
        if (wish !== undefined) return wish
      }
    })
  }

  /** Says that the archive ends here. */
  finish(): ExtractSummary {
    this.#decoder.finish()
    return this.#report.finish()
  }

  /** Begins, in place of a hard link, the file that it names; false when that is not to be. */
  startLinked(link: PendingLink, target: FileEntry): boolean {
    const { name } = link
    const { metadata, content } = target
    const fileOffset = link.entry.targetFileOffset
    return this.#guard(() =>
      this.#maker.startFile({ name, metadata, fileOffset, sizeBytes: content.sizeBytes, isLate: true })
    )
  }

  /** Takes content of the file that was begun. */
  write(bytes: Uint8Array): void {
    this.#guard(() => this.#maker.write(bytes))
  }

  finishFile(): void {
    this.#guard(() => this.#maker.finishFile())
  }

  /** Says that a wish to read a file again cannot be fulfilled. */
  refuseLink({ entry }: PendingLink): void {
    this.#report.warn(
      "hardlink",
      `another name of ${displayPath(entry.targetPath)}, which is not among the restored files`
    )
  }

  close(): void {
    try {
      this.#maker.abandon()
    } finally {
      this.#directories.close()
      closeSync(this.#target.fd)
    }
  }

  #guard<A>(action: () => A): A {
    try {
      return action()
    } catch (error) {
      throw this.#report.fatal(error)
    }
  }

  #accept(event: Event): Wish | undefined {
    switch (event.kind) {
      case "entry":
        return this.#enter(event)
      case "payload":
        this.#maker.write(event.bytes)
        if (event.remainingBytes === 0) this.#maker.finishFile()
        return undefined
      case "directory-end":
        this.#leave()
        return undefined
      case "version":
      case "prelude":
      case "end":
        return undefined
    }
  }

  #enter(event: EntryEvent): Wish | undefined {
    const { entry, fileOffset, name } = event
    if (this.#directories.depth === 0) {
      // The decoder lets nothing else than a directory be the root.
      if (entry.kind === "directory") this.#enterRoot(entry)
      return undefined
    }
    checkName(name, fileOffset)
    const parent = this.#directories.top
    this.#path.truncate(parent.pathLength)
    this.#path.push(name)
    const isDirectory = entry.kind === "directory"
    const choice = parent.isSkipped
      ? "excluded"
      : this.#selection.choose(this.#path.bytes, isDirectory, parent.isSelected)
    if (entry.kind === "directory") {
      this.#directories.enter(name, entry.metadata, choice)
      return undefined
    }
    const isMadeHere =
      choice === "selected" && this.#directories.ready() !== undefined && this.#directories.claim(name)
    return isMadeHere ? this.#make(event, entry) : this.#pass(entry)
  }

  #enterRoot({ metadata }: DirectoryEntry): void {
    const { overwrite } = this.#placement
    const { isEverything, isRootSelected } = this.#selection
    this.#directories.enterRoot(metadata, isRootSelected, (found) => {
      const isOurs = this.#target.isFresh || overwrite === "always"
      return isEverything && (isOurs || (overwrite === "newer" && isNewer(metadata, found)))
    })
  }

  #leave(): void {
    this.#path.truncate(this.#directories.top.pathLength)
    if (this.#directories.depth === 1) this.#maker.applyDeferredFlags()
    this.#directories.leave()
  }

  #make({ fileOffset, name }: EntryEvent, entry: Exclude<Entry, DirectoryEntry>): Wish | undefined {
    switch (entry.kind) {
      case "file":
        return this.#makeFile(name, fileOffset, entry)
      case "symlink":
        this.#maker.symlink(name, entry)
        return undefined
      case "hardlink":
        if (this.#maker.hardlink(name, entry)) return undefined
        return { kind: "reread", link: { name, fileOffset, entry } }
      default:
        this.#maker.special(name, entry)
        return undefined
    }
  }

  #makeFile(name: Uint8Array, fileOffset: number, file: FileEntry): Wish | undefined {
    const { metadata } = file
    const { offset, sizeBytes, stream } = file.content
    if (!this.#maker.startFile({ name, metadata, fileOffset, sizeBytes, isLate: false }))
      return this.#pass(file)
    if (sizeBytes === 0) {
      this.#maker.finishFile()
      return undefined
    }
    if (stream === "archive") return undefined
    const bytes = this.#payload?.view(offset, HEADER_BYTES + sizeBytes)
    if (bytes?.length !== HEADER_BYTES + sizeBytes) return { kind: "payload", file }
    checkPayloadHeader(bytes, offset, sizeBytes)
    this.#maker.write(bytes.subarray(HEADER_BYTES))
    this.#maker.finishFile()
    return undefined
  }

  /** Leaves out the content of an entry that is not restored. */
  #pass(entry: Entry): Wish | undefined {
    if (entry.kind !== "file" || entry.content.stream === "payload") return undefined
    const countBytes = this.#decoder.skipPayload()
    return countBytes > 0 ? { kind: "skip", countBytes } : undefined
  }
}
