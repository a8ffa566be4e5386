/**
 * System calls around mounting that Node does not offer, by way of koffi: mount, umount2, and a socket pair over which
 * `fusermount3` hands an open descriptor. Linux on 64-bit machines only.
 *
 * Plain synchronous functions that throw `PosixError` and nothing else, as in `Posix`. Nothing is loaded before the
 * first call. None of them waits for a file system's answer, so a process may unmount what it serves.
 */
import * as NativeCalls from "./NativeCalls.ts"
import { cString } from "./Posix.ts"

const prototypes = {
  mount: "int mount(_, _, _, uint64, _)",
  umount2: "int umount2(_, int)",
  socketpair: "int socketpair(int, int, int, _)",
  recvmsg: "int64 recvmsg(int, _, int)"
}

const { memory: nativeMemory, run } = NativeCalls.make(prototypes)

/** Throws where these calls cannot be made. */
export const check = (): void => void nativeMemory()

export const MS_RDONLY = 1
export const MS_NOSUID = 2
export const MS_NODEV = 4

export const mount = (source: string, target: string, type: string, flags: number, data: string): void => {
  run("mount", cString(source), cString(target), cString(type), flags, cString(data))
}

const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

/** Takes the topmost mount at `target` away; detaching it works while it is in use. */
export const unmount = (target: string, how: "whole" | "detach"): void => {
  run("umount2", cString(target), UMOUNT_NOFOLLOW | (how === "detach" ? MNT_DETACH : 0))
}

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000

/** Two connected sockets, as descriptors that other programs do not inherit by themselves. */
export const socketPair = (): readonly [number, number] => {
  const pair = new Int32Array(2)
  run("socketpair", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)
  return [pair[0] ?? -1, pair[1] ?? -1]
}

const MSG_DONTWAIT = 0x40
const MSG_CMSG_CLOEXEC = 0x40000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1

/**
 * Where things lie in the block of memory that `recvmsg` fills: struct msghdr, one iovec, one byte, one control
 * message.
 */
const layout = { message: 0, vector: 56, data: 72, control: 80, controlBytes: 24, sizeBytes: 104 } as const

/** Takes a descriptor that was sent over a socket already; undefined when none was. */
export const receiveDescriptor = (socket: number): number | undefined => {
  const { address, allocate, free, view } = nativeMemory()
  const memory = allocate(layout.sizeBytes)
  try {
    const start = address(memory)
    const block = new DataView(view(memory, layout.sizeBytes))
    const put = (offset: number, value: bigint) => block.setBigUint64(offset, value, true)
    for (let offset = 0; offset < layout.sizeBytes; offset += 8) put(offset, 0n)
    put(layout.message + 16, start + BigInt(layout.vector))
    put(layout.message + 24, 1n)
    put(layout.message + 32, start + BigInt(layout.control))
    put(layout.message + 40, BigInt(layout.controlBytes))
    put(layout.vector, start + BigInt(layout.data))
    put(layout.vector + 8, 1n)
    run("recvmsg", socket, memory, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    const isDescriptor =
      block.getBigUint64(layout.message + 40, true) >= 20n &&
      block.getInt32(layout.control + 8, true) === SOL_SOCKET &&
      block.getInt32(layout.control + 12, true) === SCM_RIGHTS
    return isDescriptor ? block.getInt32(layout.control + 16, true) : undefined
  } finally {
    free(memory)
  }
}
