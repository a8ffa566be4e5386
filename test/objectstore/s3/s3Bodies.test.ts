/**
 * What becomes of the pieces that a body comes in: they are whole in what the reader gets, their own memory is given
 * back, and what belongs to somebody else as well is left alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { Readable } from "node:stream"
import { readBody } from "../../../src/objectstore/s3/s3Bodies.ts"

const subject = { operation: "get", key: "store/a" } as const
const pieceBytes = 64 * 1024

const pieces = (count: number): ReadonlyArray<Buffer> =>
  Array.from({ length: count }, () => {
    const piece = Buffer.allocUnsafeSlow(pieceBytes)
    randomBytes(pieceBytes).copy(piece)
    return piece
  })

const isGone = ({ buffer }: Uint8Array): boolean => buffer.byteLength === 0

describe("the pieces of a body", () => {
  for (const [name, announces] of [
    ["with its length", true],
    ["without a length", false]
  ] as const) {
    it(`${name}: all are in it, and their memory is given back`, async () => {
      const given = pieces(20)
      const expected = Buffer.concat(given)
      const announced = announces ? expected.length : undefined
      const body = await readBody(subject, Readable.from(given), announced, expected.length)
      assert.isTrue(expected.equals(body))
      assert.isTrue(given.every(isGone))
      assert.strictEqual(body.byteLength, body.buffer.byteLength, "it can be handed over as a whole")
    })

    it(`${name}: memory that others share stays as it is`, async () => {
      const shared = Buffer.concat(pieces(2))
      const copy = Buffer.from(shared)
      const part = shared.subarray(pieceBytes)
      const announced = announces ? part.length : undefined
      const body = await readBody(subject, Readable.from([part]), announced, part.length)
      assert.isTrue(part.equals(body))
      assert.isTrue(copy.equals(shared))
    })
  }
})
