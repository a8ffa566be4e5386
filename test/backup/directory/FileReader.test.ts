import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { closeSync, constants, ftruncateSync, openSync, truncateSync, writeSync } from "node:fs"
import { join } from "node:path"
import { FileReader } from "../../../src/backup/directory/FileReader.ts"
import * as Posix from "../../../src/platform/Posix.ts"
import { withFolder } from "./trees.ts"

const MIB = 1024 * 1024

const openReader = (
  path: string,
  warnings: Array<string>,
  stat: Partial<Posix.PosixStat> = {}
): FileReader => {
  const fd = openSync(path, constants.O_RDONLY)
  return new FileReader(fd, { ...Posix.statAt(fd, ""), ...stat }, (message) => warnings.push(message))
}

const readAll = (reader: FileReader, targetBytes: number): Uint8Array => {
  const pieces: Array<Uint8Array> = []
  while (reader.remainingBytes > 0) {
    const target = new Uint8Array(targetBytes).fill(0xee)
    const wanted = Math.min(targetBytes, reader.remainingBytes)
    assert.strictEqual(reader.read(target), wanted)
    pieces.push(target.slice(0, wanted))
  }
  reader.finish()
  return Buffer.concat(pieces)
}

const scatter = (
  path: string,
  sizeBytes: number,
  pieces: ReadonlyArray<readonly [number, string]>
): Buffer => {
  const expected = Buffer.alloc(sizeBytes)
  const fd = openSync(path, "w")
  for (const [offset, text] of pieces) {
    writeSync(fd, text, offset)
    expected.write(text, offset)
  }
  ftruncateSync(fd, sizeBytes)
  closeSync(fd)
  return expected
}

describe("FileReader", () => {
  it.effect("reads data and holes, wherever they are", () =>
    withFolder((folder) =>
      Effect.sync(() => {
        const path = join(folder, "sparse")
        const layouts: ReadonlyArray<ReadonlyArray<readonly [number, string]>> = [
          [],
          [[0, "first"]],
          [[MIB, "middle"]],
          [[2 * MIB - 3, "end"]],
          [
            [0, "first"],
            [300_000, "second"],
            [300_100, "third"],
            [MIB + 5, "fourth"]
          ]
        ]
        for (const layout of layouts) {
          const expected = scatter(path, 2 * MIB, layout)
          for (const targetBytes of [3 * MIB, 65536, 4097]) {
            const warnings: Array<string> = []
            assert.isTrue(expected.equals(readAll(openReader(path, warnings), targetBytes)))
            assert.deepStrictEqual(warnings, [])
          }
        }
      })
    )
  )

  it.effect("does not read holes, not even of a file that it could not read", () =>
    withFolder((folder) =>
      Effect.sync(() => {
        const path = join(folder, "huge")
        const sizeBytes = 2 ** 40
        const warnings: Array<string> = []
        const fd = openSync(path, "w")
        truncateSync(path, sizeBytes)
        const reader = new FileReader(fd, Posix.statAt(fd, ""), (message) => warnings.push(message))
        const target = new Uint8Array(MIB).fill(1)
        assert.strictEqual(reader.read(target), MIB)
        assert.isTrue(target.every((byte) => byte === 0))
        assert.strictEqual(reader.remainingBytes, sizeBytes - MIB)
        assert.deepStrictEqual(warnings, [])
        reader.abandon()
      })
    )
  )

  it.effect("makes zeros of what cannot be read, with one warning", () =>
    withFolder((folder) =>
      Effect.sync(() => {
        const warnings: Array<string> = []
        const reader = openReader(folder, warnings, { sizeBytes: 1000, blocks: 8 })
        assert.isTrue(readAll(reader, 300).every((byte) => byte === 0))
        assert.deepStrictEqual(warnings, ["it cannot be read on (EISDIR): the rest is stored as zeros"])
      })
    )
  )

  it.effect("tells of a sparse file that shrank", () =>
    withFolder((folder) =>
      Effect.sync(() => {
        const path = join(folder, "sparse")
        scatter(path, MIB, [[0, "first"]])
        const warnings: Array<string> = []
        const reader = openReader(path, warnings)
        reader.read(new Uint8Array(10))
        truncateSync(path, 5)
        const rest = readAll(reader, 65536)
        assert.strictEqual(rest.length, MIB - 10)
        assert.isTrue(rest.every((byte) => byte === 0))
        assert.strictEqual(warnings.length, 1)
        assert.match(warnings[0] ?? "", /^it shrank while it was read/)
      })
    )
  )
})
