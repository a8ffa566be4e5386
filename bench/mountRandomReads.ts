/**
 * A process of its own that reads 4 KiB at random places in the first part of a file, past the system's page cache,
 * and prints how many reads it did in a second.
 *
 * Run: node bench/mountRandomReads.ts FILE RANGE-BYTES SECONDS [warm]
 */
import { closeSync, constants, openSync, readSync } from "node:fs"
import { makeRandom } from "./SeededData.ts"

const [file = "", range = "0", seconds = "1", temperature = ""] = process.argv.slice(2)
const readBytes = 4096
const places = Math.floor(Number(range) / readBytes)
const block = Buffer.alloc(readBytes)
const random = makeRandom(4096)

const fd = openSync(file, constants.O_RDONLY | constants.O_DIRECT)
// Once through, so that it is in the program's own memory.
const large = Buffer.alloc(1024 * 1024)
const warmBytes = temperature === "warm" ? places * readBytes : 0
for (let offset = 0; offset < warmBytes; offset += large.length) {
  readSync(fd, large, 0, large.length, offset)
}

const endMillis = performance.now() + Number(seconds) * 1000
let reads = 0
const beginMillis = performance.now()
while (performance.now() < endMillis) {
  readSync(fd, block, 0, readBytes, Math.floor(random() * places) * readBytes)
  reads += 1
}
console.log(reads / ((performance.now() - beginMillis) / 1000))
closeSync(fd)
