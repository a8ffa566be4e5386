/**
 * A process of its own that reads 4 KiB at random places in the first part of a file, and prints how many reads it did
 * in a second: `cold` and `warm` anywhere in it, past the system's page cache, `warm` after all of it was read that way
 * once; `buffered` each place once, through the page cache, which has none of it, after all was read past it; `again`
 * the same a second time.
 *
 * Run: node bench/mountRandomReads.ts FILE RANGE-BYTES SECONDS cold|warm|buffered|again
 */
import { closeSync, constants, openSync, readSync } from "node:fs"
import { makeRandom } from "./SeededData.ts"

const [file = "", range = "0", seconds = "1", manner = "cold"] = process.argv.slice(2)
const readBytes = 4096
const places = Math.floor(Number(range) / readBytes)
const block = Buffer.alloc(readBytes)
const random = makeRandom(4096)
const isBuffered = manner === "buffered" || manner === "again"

const direct = openSync(file, constants.O_RDONLY | constants.O_DIRECT)
// Once through, so that it is in the program's own memory.
const large = Buffer.alloc(1024 * 1024)
const warmBytes = manner === "cold" ? 0 : places * readBytes
for (let offset = 0; offset < warmBytes; offset += large.length) {
  readSync(direct, large, 0, large.length, offset)
}

/** Every place once, in a random order. */
const shuffled = (): ReadonlyArray<number> => {
  const order = Array.from({ length: places }, (_, place) => place)
  for (let last = places - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0]
  }
  return order
}

const fd = isBuffered ? openSync(file, constants.O_RDONLY) : direct
const order = isBuffered ? shuffled() : []
const readAt = (place: number): void => void readSync(fd, block, 0, readBytes, place * readBytes)
if (manner === "again") for (const place of order) readAt(place)

const beginMillis = performance.now()
const endMillis = beginMillis + Number(seconds) * 1000
const readsMax = isBuffered ? places : Number.POSITIVE_INFINITY
let reads = 0
while (performance.now() < endMillis && reads < readsMax) {
  readAt(isBuffered ? (order[reads] ?? 0) : Math.floor(random() * places))
  reads += 1
}
console.log(reads / ((performance.now() - beginMillis) / 1000))
closeSync(direct)
if (isBuffered) closeSync(fd)
