/**
 * accessTimes: when reading moves an access time, as Linux decides it for the ways a file system can be mounted.
 *
 * Setting an access time (`touch`) works on all of them but `ignored`, which stands for file systems that answer
 * success and keep the old time.
 */
import type { Inode } from "./Inode.ts"

export type AccessTimes = "noatime" | "relatime" | "strictatime" | "ignored"

const dayMillis = 24 * 60 * 60 * 1000

export const movesWithRead = (
  accessTimes: AccessTimes,
  { atimeMillis, mtimeMillis, ctimeMillis }: Inode,
  nowMillis: number
): boolean => {
  if (atimeMillis === nowMillis || accessTimes === "noatime" || accessTimes === "ignored") return false
  if (accessTimes === "strictatime") return true
  return atimeMillis <= mtimeMillis || atimeMillis <= ctimeMillis || nowMillis - atimeMillis >= dayMillis
}
