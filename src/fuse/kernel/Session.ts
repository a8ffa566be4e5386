/**
 * Session: answers the kernel's requests from a tree of files.
 *
 * Invariants: every request that wants an answer gets one, and exactly one; nothing that a request or the tree does
 * throws out of `onRequest`. Answers go out in the order in which they are ready. The kernel's node numbers are the
 * tree's inodes, which last as long as the tree, so nothing has to be remembered for the kernel, or forgotten.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { Attributes, Vfs } from "../../vfs/Vfs.ts"
import type { VfsError } from "../../vfs/VfsError.ts"
import * as DirectoryReply from "../protocol/DirectoryReply.ts"
import { Errno } from "../protocol/Errno.ts"
import * as Init from "../protocol/Init.ts"
import * as Reply from "../protocol/Reply.ts"
import * as Request from "../protocol/Request.ts"
import type { Channel } from "./Channel.ts"
import type { Faults } from "./Faults.ts"
import * as NameWalks from "./NameWalks.ts"
import * as OpenDirectories from "./OpenDirectories.ts"
import * as Underway from "./Underway.ts"

export type InitOutcome = { readonly kind: "ready" } | { readonly kind: "too old"; readonly version: string }

export interface SessionOptions {
  readonly tree: Vfs["Service"]
  readonly channel: Channel
  readonly faults: Faults
  readonly context: Context.Context<never>
  readonly onInit: (outcome: InitOutcome) => void
}

export interface Session {
  readonly onRequest: (buffer: Request.RequestBuffer, lengthBytes: number) => void
  /** Ends what is under way; everybody who waits is answered. */
  readonly interruptAll: Effect.Effect<void>
}

/** Each may hold up to 1 MiB. The kernel itself reads ahead with 64 at most. */
const readsMax = 128
const readMaxBytes = Init.maxPages * Init.pageBytes

/**
 * Much of what is asked for is not there (names, attributes of `ls -l`), and an error's whole stack costs more than
 * all the rest of such an answer.
 */
const failureFrames = 3

const accessMode = 3
const seekData = 3
const seekHole = 4

const dot = 0x2e
const isDot = (name: Uint8Array): boolean => name.length === 1 && name[0] === dot
const isDotDot = (name: Uint8Array): boolean => name.length === 2 && name[0] === dot && name[1] === dot

/** Names as `listxattr` gives them: each with its NUL. */
const joinNames = (names: ReadonlyArray<Uint8Array>): Uint8Array => {
  const joined = new Uint8Array(names.reduce((sum, { length }) => sum + length + 1, 0))
  let end = 0
  for (const name of names) {
    joined.set(name, end)
    end += name.length + 1
  }
  return joined
}

export const make = (options: SessionOptions): Session => {
  const { channel, faults, tree } = options
  const { reply } = channel
  const underway = Underway.make(options.context)
  const directories = OpenDirectories.make()
  const walks = NameWalks.make()
  const reads = Semaphore.makeUnsafe(readsMax)

  /** Runs what answers a request; whatever it throws becomes EIO. */
  const guarded = ({ opcode, unique }: Request.Head, run: () => void): void => {
    try {
      run()
    } catch (defect) {
      faults.defect(opcode, defect)
      channel.sendError(unique, Errno.EIO)
    }
  }

  /** Answers with what the effect gives; `onError` may answer instead of the error's number. */
  const answer = <A>(
    head: Request.Head,
    effect: Effect.Effect<A, VfsError>,
    onValue: (value: A) => void,
    onError: (errno: number) => void = (errno) => channel.sendError(head.unique, errno)
  ): void =>
    underway.run(head, effect, (exit) =>
      guarded(head, () =>
        Exit.isSuccess(exit) ? onValue(exit.value) : onError(faults.errnoOf(head.opcode, exit.cause))
      )
    )

  const sendEntry =
    ({ unique }: Request.Head) =>
    (found: Attributes) =>
      channel.send(unique, Reply.entry(reply, unique, found))

  /** Exported file systems (NFS) ask for these two names. */
  const special = (head: Request.Head, name: Uint8Array): Effect.Effect<Attributes, VfsError> | undefined => {
    if (isDot(name)) return tree.attributes(head.inode)
    return isDotDot(name) ? Effect.flatMap(tree.parent(head.inode), tree.attributes) : undefined
  }

  /** That a name is missing may be relied on as long as the directory's own attributes. */
  const lookup = (head: Request.Head, name: Uint8Array): void => {
    walks.onLookup(head.inode)
    answer(head, special(head, name) ?? tree.lookup(head.inode, name), sendEntry(head), (errno) =>
      errno === Errno.ENOENT
        ? answer(head, tree.attributes(head.inode), ({ validSeconds }) =>
            channel.send(head.unique, Reply.noEntry(reply, head.unique, validSeconds))
          )
        : channel.sendError(head.unique, errno)
    )
  }

  /** Contents never change: there is nothing to open, and the kernel need not ask again (ENOSYS). */
  const open = ({ unique }: Request.Head, flags: number): void => {
    if ((flags & accessMode) !== 0) return channel.sendError(unique, Errno.EROFS)
    channel.sendError(unique, Errno.ENOSYS)
  }

  const listed = ({ inode }: Request.Head): Effect.Effect<DirectoryReply.ListedDirectory, VfsError> =>
    Effect.flatMap(tree.list(inode), (listing) =>
      Effect.map(tree.parent(inode), (parent) => ({ inode, parent, listing }))
    )

  const sendOpened = (head: Request.Head, directory: DirectoryReply.ListedDirectory): void => {
    const { validSeconds } = directory.listing
    const count = DirectoryReply.countOf(directory.listing)
    const isLasting = validSeconds === Infinity
    const isByName = isLasting && walks.isByName(head.threadId, head.inode, count)
    const flags = isLasting && !isByName ? Reply.OpenFlag.keepCache | Reply.OpenFlag.cacheDirectory : 0
    channel.send(
      head.unique,
      Reply.opened(reply, head.unique, directories.add({ ...directory, isByName }), flags)
    )
  }

  const openDirectory = (head: Request.Head): void => {
    const { inode } = head
    const found = tree.listNow(inode)
    if (found !== undefined) return sendOpened(head, { inode, ...found })
    answer(head, listed(head), (directory) => sendOpened(head, directory))
  }

  const list = (head: Request.Head, request: Request.ListRequest): void => {
    const send = (directory: DirectoryReply.ListedDirectory): void =>
      channel.send(head.unique, DirectoryReply.encode(reply, head.unique, directory, request))
    const directory = directories.get(request.handle)
    if (directory === undefined || directory.inode !== head.inode) return answer(head, listed(head), send)
    send(directory)
  }

  /** What is lent is sent at once; whatever becomes of the effect afterwards, the answer is given. */
  const read = (head: Request.Head, offset: number, sizeBytes: number): void => {
    let isSent = false
    const send = (bytes: Uint8Array): void => {
      channel.sendBytes(head.unique, bytes)
      isSent = true
    }
    const lengthBytes = Math.min(sizeBytes, readMaxBytes)
    if (tree.lendNow(head.inode, offset, lengthBytes, send)) return
    answer(
      head,
      reads.withPermits(1)(tree.lend(head.inode, offset, lengthBytes, send)),
      () => undefined,
      (errno) => {
        if (!isSent) channel.sendError(head.unique, errno)
      }
    )
  }

  /** A size of 0 asks how much room is needed. */
  const sendSized = ({ unique }: Request.Head, bytes: Uint8Array, sizeBytes: number): void => {
    if (sizeBytes === 0) return channel.send(unique, Reply.xattrSize(reply, unique, bytes.length))
    if (bytes.length > sizeBytes) return channel.sendError(unique, Errno.ERANGE)
    channel.sendBytes(unique, bytes)
  }

  const seek = (head: Request.Head, offset: number, whence: number): void => {
    if (whence !== seekData && whence !== seekHole) return channel.sendError(head.unique, Errno.EINVAL)
    answer(head, tree.seek(head.inode, offset, whence === seekData ? "data" : "hole"), (found) =>
      found === undefined
        ? channel.sendError(head.unique, Errno.ENXIO)
        : channel.send(head.unique, Reply.sought(reply, head.unique, found))
    )
  }

  const init = ({ unique }: Request.Head, request: Request.InitRequest): void => {
    const agreement = Init.agree(request)
    if (agreement.kind === "too old") {
      channel.sendError(unique, Errno.EPROTO)
      return options.onInit(agreement)
    }
    const agreed = agreement.kind === "agreed" ? agreement : { minor: Init.minorMin, flags: 0 }
    channel.send(unique, Init.encode(reply, unique, agreed, request.readAheadMaxBytes))
    if (agreement.kind === "agreed") options.onInit({ kind: "ready" })
  }

  const serve = (request: Request.Request): void => {
    const { head } = request
    const { inode, unique } = head
    switch (request.kind) {
      case "lookup":
        return lookup(head, request.name)
      case "attributes":
        return answer(head, tree.attributes(inode), (found) =>
          channel.send(unique, Reply.attributes(reply, unique, found))
        )
      case "list":
        return list(head, request)
      case "read":
        return read(head, request.offset, request.sizeBytes)
      case "xattr":
        return answer(head, tree.xattr(inode, request.name), (value) =>
          sendSized(head, value, request.sizeBytes)
        )
      case "xattrNames":
        return answer(head, tree.xattrNames(inode), (names) =>
          sendSized(head, joinNames(names), request.sizeBytes)
        )
      case "readLink":
        return answer(head, tree.readLink(inode), (target) => channel.sendBytes(unique, target))
      case "open":
        return open(head, request.flags)
      case "openDirectory":
        return openDirectory(head)
      case "releaseDirectory":
        directories.remove(request.handle)
        return channel.send(unique, Reply.empty(reply, unique))
      case "seek":
        return seek(head, request.offset, request.whence)
      case "statistics":
        return answer(head, tree.statistics, (found) =>
          channel.send(unique, Reply.statistics(reply, unique, found))
        )
      case "interrupt":
        return underway.interrupt(request.target)
      case "init":
        return init(head, request)
      case "release":
      case "destroy":
        return channel.send(unique, Reply.empty(reply, unique))
      case "forget":
        return
      case "change":
        return channel.sendError(unique, Errno.EROFS)
      case "malformed":
        return channel.sendError(unique, Errno.EINVAL)
      case "unknown":
        return channel.sendError(unique, Errno.ENOSYS)
    }
  }

  return {
    onRequest: (buffer, lengthBytes) => {
      const request = Request.decode(buffer, lengthBytes)
      if (request === undefined) return
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = failureFrames
      guarded(request.head, () => serve(request))
      Error.stackTraceLimit = stackTraceLimit
    },
    interruptAll: underway.interruptAll
  }
}
