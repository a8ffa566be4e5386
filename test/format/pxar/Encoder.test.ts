import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { FormatError } from "../../../src/format/FormatError.ts"
import type { Event } from "../../../src/format/pxar/Decoder.ts"
import { Encoder } from "../../../src/format/pxar/Encoder.ts"
import { makeFileMetadata } from "../../../src/model/FileMetadata.ts"
import {
  BIG_NAMES,
  bigFixturesExist,
  bytesOf,
  contentAt,
  decodeAll,
  hex,
  loadGolden,
  SMALL_NAMES
} from "./goldens.ts"

const DIRECTORY = makeFileMetadata({ mode: 0o40755 })
const FILE = makeFileMetadata({ mode: 0o100644 })

const concat = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(pieces))

const beginAs = (events: ReadonlyArray<Event>): Encoder => {
  const root = events.find((event) => event.kind === "entry")
  if (root?.entry.kind !== "directory") throw new Error("no root")
  const prelude = events.find((event) => event.kind === "prelude")?.bytes
  const isSplit = events.some((event) => event.kind === "version")
  return Encoder.startArchive(root.entry.metadata, { version: isSplit ? 2 : 1, prelude })
}

const addEntry = (
  encoder: Encoder,
  { entry, name }: Extract<Event, { kind: "entry" }>,
  content: Uint8Array
): number => {
  switch (entry.kind) {
    case "directory":
      return encoder.startDirectory(name, entry.metadata)
    case "file": {
      const offset = encoder.startFile(name, entry.metadata, content.length)
      encoder.writePayload(content)
      return offset
    }
    case "symlink":
      return encoder.addSymlink(name, entry.metadata, entry.target)
    case "device-block":
    case "device-char":
      return encoder.addDevice(name, entry.metadata, entry.device)
    case "fifo":
      return encoder.addFifo(name, entry.metadata)
    case "socket":
      return encoder.addSocket(name, entry.metadata)
    case "hardlink":
      return encoder.addHardlink(name, entry.targetPath, entry.targetFileOffset)
  }
}

/** Encodes again what was decoded, draining after every entry. */
const encodeAgain = (events: ReadonlyArray<Event>, payload?: Uint8Array) => {
  const encoder = beginAs(events)
  const archivePieces: Array<Uint8Array> = []
  const payloadPieces: Array<Uint8Array> = []
  events.forEach((event, index) => {
    if (event.kind === "entry" && event.name.length > 0) {
      const content = event.entry.kind === "file" ? contentAt(events, index, payload) : new Uint8Array(0)
      assert.strictEqual(addEntry(encoder, event, content), event.fileOffset)
    }
    if (event.kind === "directory-end") {
      if (encoder.depth > 1) encoder.finishDirectory()
      else encoder.finishArchive()
    }
    archivePieces.push(encoder.takeArchiveBytes())
    payloadPieces.push(encoder.takePayloadBytes())
  })
  return { encoder, archive: concat(archivePieces), payload: concat(payloadPieces) }
}

const checkSameBytes = (name: string): void => {
  const golden = loadGolden(name)
  const made = encodeAgain(decodeAll(golden.archive), golden.payload)
  assert.isTrue(Buffer.from(made.archive).equals(golden.archive), `archive stream of ${name}`)
  assert.strictEqual(made.encoder.archivePosition, golden.archive.length)
  assert.isTrue(
    Buffer.from(made.payload).equals(golden.payload ?? new Uint8Array(0)),
    `payload stream of ${name}`
  )
  assert.strictEqual(made.encoder.payloadPosition, golden.payload?.length ?? 0)
}

describe("Encoder", () => {
  it.each(SMALL_NAMES)("writes %s byte for byte like the reference", (name) => {
    checkSameBytes(name)
  })

  it("writes the smallest archive with a file as the format says", () => {
    const encoder = Encoder.startArchive(DIRECTORY, { version: 1 })
    encoder.startFile(bytesOf("a"), FILE, 1)
    encoder.writePayload(bytesOf("x"))
    encoder.finishArchive()
    const archive = encoder.takeArchiveBytes()
    const digest = createHash("sha256").update(archive).digest("hex")
    assert.strictEqual(archive.length, 211)
    assert.strictEqual(digest, "d357881bddaf0684f9b799787e3d396964d23ad8bdad91881532b3844926bf41")
  })

  it("counts content that the caller sends itself", () => {
    for (const version of [1, 2] as const) {
      const copied = Encoder.startArchive(DIRECTORY, { version })
      copied.startFile(bytesOf("a"), FILE, 5)
      copied.writePayload(bytesOf("hello"))
      copied.finishArchive()
      const passed = Encoder.startArchive(DIRECTORY, { version })
      passed.startFile(bytesOf("a"), FILE, 5)
      const before = { archive: passed.takeArchiveBytes(), payload: passed.takePayloadBytes() }
      passed.passPayload(2)
      assert.strictEqual(passed.payloadRemainingBytes, 3)
      passed.passPayload(3)
      passed.finishArchive()
      const after = { archive: passed.takeArchiveBytes(), payload: passed.takePayloadBytes() }
      const hello = bytesOf("hello")
      const archive = version === 1 ? [before.archive, hello, after.archive] : [before.archive, after.archive]
      assert.strictEqual(hex(concat(archive)), hex(copied.takeArchiveBytes()))
      if (version === 2) {
        assert.strictEqual(
          hex(concat([before.payload, hello, after.payload])),
          hex(copied.takePayloadBytes())
        )
      }
      assert.strictEqual(passed.archivePosition, copied.archivePosition)
      assert.strictEqual(passed.payloadPosition, copied.payloadPosition)
    }
  })

  it("refers to payloads that stand in the stream already", () => {
    const encoder = Encoder.startArchive(DIRECTORY, { version: 2 })
    encoder.takePayloadBytes()
    encoder.advancePayload(1000)
    assert.throws(() => encoder.addFileReference(bytesOf("marker"), FILE, 15, 1), FormatError)
    encoder.addFileReference(bytesOf("old"), FILE, 100, 50)
    assert.throws(() => encoder.addFileReference(bytesOf("older"), FILE, 100, 50), FormatError)
    encoder.startFile(bytesOf("new"), FILE, 1)
    encoder.writePayload(bytesOf("x"))
    encoder.finishArchive()
    const files = decodeAll(encoder.takeArchiveBytes()).flatMap((event) =>
      event.kind === "entry" && event.entry.kind === "file" ? [event.entry.content] : []
    )
    assert.deepStrictEqual(files, [
      { stream: "payload", offset: 100, sizeBytes: 50 },
      { stream: "payload", offset: 1016, sizeBytes: 1 }
    ])
    assert.strictEqual(encoder.payloadPosition, 1016 + 16 + 1 + 16)
  })

  it("leaves the archive as it was when an entry cannot be written", () => {
    const encoder = Encoder.startArchive(DIRECTORY, { version: 1 })
    const position = encoder.archivePosition
    const long = bytesOf("x".repeat(4097))
    const bad = [{ name: bytesOf("user.x"), value: new Uint8Array(70000) }]
    for (const name of ["", ".", "..", "a/b", "a\0b"]) {
      assert.throws(() => encoder.addFifo(bytesOf(name), makeFileMetadata({ mode: 0o10644 })), FormatError)
    }
    assert.throws(() => encoder.startFile(long, FILE, 0), FormatError)
    assert.throws(() => encoder.startFile(bytesOf("a"), DIRECTORY, 0), FormatError)
    assert.throws(() => encoder.startFile(bytesOf("a"), { ...FILE, xattrs: bad }, 0), FormatError)
    assert.throws(() => encoder.startFile(bytesOf("a"), { ...FILE, mtimeSeconds: 0.5 }, 0), RangeError)
    assert.throws(
      () => encoder.addSymlink(bytesOf("l"), makeFileMetadata({ mode: 0o120777 }), long),
      FormatError
    )
    assert.strictEqual(encoder.archivePosition, position)
    encoder.finishArchive()
    assert.deepStrictEqual(
      decodeAll(encoder.takeArchiveBytes()).map((event) => event.kind),
      ["entry", "directory-end", "end"]
    )
  })

  it("refuses calls out of order", () => {
    const encoder = Encoder.startArchive(DIRECTORY, { version: 1 })
    assert.throws(() => encoder.finishDirectory(), /no directory/)
    assert.throws(() => encoder.addFileReference(bytesOf("a"), FILE, 16, 1), /version 2/)
    assert.throws(() => encoder.addHardlink(bytesOf("h"), bytesOf("a"), encoder.archivePosition), /before/)
    encoder.startDirectory(bytesOf("d"), DIRECTORY)
    assert.throws(() => encoder.finishArchive(), /still open/)
    encoder.startFile(bytesOf("f"), FILE, 3)
    assert.throws(() => encoder.passPayload(3), /drained/)
    assert.throws(() => encoder.writePayload(bytesOf("four")), /only 3/)
    assert.throws(() => encoder.finishDirectory(), /still to come/)
    encoder.writePayload(bytesOf("abc"))
    encoder.finishDirectory()
    encoder.finishArchive()
    assert.throws(() => encoder.startDirectory(bytesOf("e"), DIRECTORY), /finished/)
    assert.throws(() => Encoder.startArchive(DIRECTORY, { version: 1, prelude: bytesOf("x") }), /prelude/)
  })
})

describe.skipIf(!bigFixturesExist)("Encoder over the big tree", () => {
  it.each(BIG_NAMES)("writes %s byte for byte like the reference", (name) => {
    checkSameBytes(name)
  })
})
