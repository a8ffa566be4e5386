/**
 * How the extractor opens things: relative to a directory that is open already, and never through a symbolic
 * link.
 */
import { constants } from "node:fs"

// Node has no names for these two; they are the same on every 64-bit Linux that Node runs on.
const O_CLOEXEC = 0x8_0000
const O_PATH = 0x20_0000

export const OPEN_TARGET = constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC
export const OPEN_DIRECTORY = OPEN_TARGET | constants.O_NOFOLLOW
/** Takes no permission to read, and opens devices and fifos without waking them. */
export const OPEN_PATH = O_PATH | constants.O_NOFOLLOW | O_CLOEXEC
export const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | O_CLOEXEC
export const CREATE_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC
