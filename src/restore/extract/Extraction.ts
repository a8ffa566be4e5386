/**
 * One restore as a synchronous machine: bytes go in by `push`, files come out on disk, and `run` works until it needs
 * something, which it tells as a `Wish`. Whoever drives it (`Extractor`) does the waiting.
 *
 * Holds the target folder, the open directories and the file being written; `close` lets go of them and removes a file
 * that is not whole.
 */
import { accessSync, closeSync, constants, mkdirSync, opendirSync } from "node:fs"
import { dirname } from "node:path"
import { checkName, type Entry, type FileContent, type FileEntry, type HardlinkEntry } from "../../format/pxar/Entry.ts"
import { Decoder, type Event } from "../../format/pxar/Decoder.ts"
import { HEADER_BYTES } from "../../format/pxar/Items.ts"
