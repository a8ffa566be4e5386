/**
 * The traffic of Proxmox Backup Server's own client, replayed: its requests as they were recorded, the answers compared
 * by what they mean.
 *
 * Recorded are names, sizes and digests, not contents. So each chunk that is not encrypted gets other content of its
 * size, and with it another digest; checksums are worked out anew from those. Encrypted chunks keep the digests they had,
 * which no server can look at: there the recorded checksums of all indexes have to come out.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { crc32 } from "node:zlib"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as client from "./client.ts"
import * as scene from "./scene.ts"
import * as Transcript from "./Transcript.ts"

/** What stands for what was recorded. */
interface Stand {
  readonly digests: Map<string, string>
  /** Sums of indexes and blobs by file name, and sizes of blobs. */
  readonly files: Map<string, { readonly csum: string; readonly sizeBytes: number }>
}

interface Writer {
  readonly name: string
  readonly wid: number
  readonly entries: Array<{ readonly offset: number; readonly digest: string; readonly sizeBytes: number }>
}

const encryptedMagics: Readonly<Record<string, bigint>> = {
  encrypted: DataBlob.magics.encrypted,
  "zstd+encrypted": DataBlob.magics["encrypted-zstd"]
}

/** Nobody can tell what is in it. */
const encryptedBlob = (kind: string, sizeBytes: number): Uint8Array => {
  const blob = Buffer.from(scene.content(77, sizeBytes))
  blob.writeBigUInt64LE(encryptedMagics[kind] ?? assert.fail(kind))
  return withCrc(blob, 44)
}

const withCrc = (blob: Buffer, start: number): Buffer => {
  blob.writeUInt32LE(crc32(blob.subarray(start)), 8)
  return blob
}

const kindIn = (body: string): string => /^<(\S+) DataBlob/.exec(body)?.[1] ?? assert.fail(body)

const isEncrypted = (kind: string): boolean => kind.includes("encrypted")

const numberOf = (query: URLSearchParams, name: string): number => Number(query.get(name))

/** A chunk to send in place of the recorded one. */
const chunkFor = (stand: Stand, { body, query }: Transcript.Recorded) => {
  const recorded = query.get("digest") ?? ""
  const kind = kindIn(body)
  const sizeBytes = numberOf(query, "size")
  if (isEncrypted(kind)) {
    stand.digests.set(recorded, recorded)
    return { digest: recorded, blob: encryptedBlob(kind, numberOf(query, "encoded-size")) }
  }
  const seed = Number.parseInt(recorded.slice(0, 2), 16)
  const chunk = scene.chunkOf(scene.content(seed, sizeBytes))
  stand.digests.set(recorded, chunk.digest)
  return chunk
}

const sumOf = (writer: Writer, isFixed: boolean): string => {
  const entries = writer.entries.toSorted((left, right) => left.offset - right.offset)
  return scene.sha256(
    Buffer.concat(
      entries.map(({ digest, offset, sizeBytes }) => {
        const entry = Buffer.alloc(40)
        entry.writeBigUInt64LE(BigInt(offset + sizeBytes))
        Buffer.from(digest, "hex").copy(entry, 8)
        return isFixed ? entry.subarray(8) : entry
      })
    )
  )
}

/** Replays one backup session. */
const replayBackup = (session: client.Session, stand: Stand, sizes: Map<string, number>) => {
  const writers = new Map<string, Writer>()

  const append = (recorded: Transcript.Recorded): client.Asked => {
    const body = JSON.parse(recorded.body)
    const writer = writers.get(String(body.wid)) ?? assert.fail("no writer")
    const digests = body["digest-list"].map((digest: string, index: number) => {
      const mapped = stand.digests.get(digest) ?? assert.fail(`unknown ${digest}`)
      const offset = body["offset-list"][index]
      writer.entries.push({ offset, digest: mapped, sizeBytes: sizes.get(digest) ?? assert.fail(digest) })
      return mapped
    })
    return { json: { ...body, wid: writer.wid, "digest-list": digests } }
  }

  const closing = (recorded: Transcript.Recorded): client.Asked => {
    const { path, query } = recorded
    const writer = writers.get(query.get("wid") ?? "") ?? assert.fail("no writer")
    const csum = sumOf(writer, path === "/fixed_close")
    stand.files.set(writer.name, { csum, sizeBytes: numberOf(query, "size") })
    const isSame = writer.entries.every(({ digest }) => stand.digests.get(digest) === digest)
    if (isSame) assert.strictEqual(csum, query.get("csum"), "the recorded checksum comes out")
    return { query: { ...Object.fromEntries(query), wid: writer.wid, csum } }
  }

  const blob = ({ body, query }: Transcript.Recorded): client.Asked => {
    const name = query.get("file-name") ?? ""
    const sent = name === "index.json.blob" ? manifestFor(stand, body) : plainOrEncrypted(body, query)
    stand.files.set(name, { csum: scene.sha256(sent), sizeBytes: sent.length })
    return { query: { "file-name": name, "encoded-size": sent.length }, body: sent }
  }

  const chunk = (recorded: Transcript.Recorded): client.Asked => {
    const { query } = recorded
    const sent = chunkFor(stand, recorded)
    sizes.set(query.get("digest") ?? "", numberOf(query, "size"))
    const wid = writers.get(query.get("wid") ?? "")?.wid ?? 0
    const fields = {
      wid,
      digest: sent.digest,
      size: numberOf(query, "size"),
      "encoded-size": sent.blob.length
    }
    return { query: fields, body: sent.blob }
  }

  const asked = (recorded: Transcript.Recorded): client.Asked => {
    const { method, path } = recorded
    if (path.endsWith("_chunk")) return chunk(recorded)
    if (path.endsWith("_index") && method === "PUT") return append(recorded)
    if (path.endsWith("_close")) return closing(recorded)
    if (path === "/blob") return blob(recorded)
    return { query: Object.fromEntries(recorded.query) }
  }

  return async (recorded: Transcript.Recorded): Promise<void> => {
    const { method, path, query } = recorded
    const answer = await session.ask(method, path, asked(recorded))
    compare(recorded, answer, stand)
    if (path.endsWith("_index") && method === "POST") {
      const wid = /\{"data":(\d+)\}/.exec(recorded.answer)?.[1] ?? assert.fail(recorded.answer)
      writers.set(wid, { name: query.get("archive-name") ?? "", wid: Number(answer.data), entries: [] })
    }
  }
}

const plainOrEncrypted = (body: string, query: URLSearchParams): Uint8Array => {
  const sizeBytes = numberOf(query, "encoded-size")
  const kind = kindIn(body)
  return isEncrypted(kind)
    ? encryptedBlob(kind, sizeBytes)
    : DataBlob.encode(scene.content(5, sizeBytes - 12), { compress: false })
}

/** The recorded manifest with the sums of what was sent. */
const manifestFor = (stand: Stand, body: string): Uint8Array => {
  const manifest = JSON.parse(body.slice(body.indexOf("{")))
  for (const file of manifest.files) {
    const stored = stand.files.get(file.filename) ?? assert.fail(file.filename)
    file.csum = stored.csum
    file.size = stored.sizeBytes
  }
  return DataBlob.encode(Buffer.from(JSON.stringify(manifest)), { compress: true })
}

/** Whether an answer means what the recorded one means. */
const compare = (recorded: Transcript.Recorded, answer: client.Answer, stand: Stand): void => {
  const what = `${recorded.method} ${recorded.path}?${recorded.query}`
  assert.strictEqual(
    answer.status,
    Number(recorded.answer.slice(0, 3)),
    `${what}: ${answer.text.slice(0, 200)}`
  )
  if (recorded.answer.includes("(JSON")) {
    assert.strictEqual(answer.headers["content-type"], "application/json;charset=UTF-8")
    const data: unknown = JSON.parse(recorded.answer.slice(recorded.answer.indexOf("{"))).data
    if (recorded.path.endsWith("_index")) assert.strictEqual(typeof answer.data, typeof data, what)
    else assert.deepStrictEqual(answer.data, typeof data === "string" ? stand.digests.get(data) : data, what)
    return
  }
  assert.strictEqual(answer.headers["content-type"], "application/octet-stream", what)
  const index = /<[fd]idx, (\d+) bytes/.exec(recorded.answer)
  if (index !== null) assert.lengthOf(answer.body, Number(index[1]), what)
  else DataBlob.verifyCrc(answer.body)
  const decoded = recorded.answer.indexOf("decodes to {")
  if (decoded === -1) return
  // Long ones were cut when they were recorded.
  const names = recorded.answer.slice(decoded).matchAll(/"filename":"([^"]+)"/g)
  const expected = [...names].map(([, name]) => name)
  const files = Manifest.decode(answer.body).files.map(({ filename }) => filename)
  assert.isNotEmpty(expected)
  assert.deepStrictEqual(files.slice(0, expected.length), expected, what)
}

const replayReader = async (session: client.Session, connection: Transcript.Connection, stand: Stand) => {
  for (const recorded of connection.calls) {
    const digest = recorded.query.get("digest")
    const query =
      digest === null ? Object.fromEntries(recorded.query) : { digest: stand.digests.get(digest) ?? digest }
    compare(recorded, await session.ask(recorded.method, recorded.path, { query }), stand)
  }
}

const sorted = (data: unknown): unknown =>
  Array.isArray(data) ? data.map((item) => JSON.stringify(item)).toSorted() : data

const replayRest = async (made: scene.Scene, { opening }: Transcript.Connection) => {
  const { body, method, path, query } = opening
  const json = body
    .split("\n")
    .find((line) => line.startsWith("BODY {"))
    ?.slice("BODY ".length)
  const answer = await client.ask(made.port, `${path}?${query}`, {
    method,
    headers: made.admin,
    ...(json === undefined ? {} : { json: JSON.parse(json) })
  })
  assert.strictEqual(answer.status, Number(opening.answer.slice(0, 3)), answer.text)
  const data = opening.answer.split("\n").find((line) => line.includes('{"data"'))
  if (data !== undefined) {
    const expected: unknown = JSON.parse(data.slice(data.indexOf('{"data"'))).data
    // Listings are in no particular order.
    assert.deepStrictEqual(sorted(answer.data), sorted(expected))
  }
}

const replay = async (made: scene.Scene, names: ReadonlyArray<string>) => {
  const stand: Stand = { digests: new Map(), files: new Map() }
  const sizes = new Map<string, number>()
  let calls = 0
  for (const connection of names.flatMap(Transcript.read)) {
    const { opening } = connection
    calls += 1 + connection.calls.length
    if (!/\/(?:backup|reader)$/.test(opening.path)) {
      await replayRest(made, connection)
      continue
    }
    const opened = await client.upgrade(made.port, opening.path, {
      headers: made.admin,
      query: Object.fromEntries(opening.query)
    })
    if (!scene.isSession(opened)) {
      assert.strictEqual(opened.status, Number(opening.answer.slice(0, 3)), opened.text)
      continue
    }
    assert.match(opening.answer, /^101/)
    if (opening.path.endsWith("reader")) await replayReader(opened, connection, stand)
    else {
      const step = replayBackup(opened, stand, sizes)
      for (const recorded of connection.calls) await step(recorded)
    }
    await opened.close()
  }
  return calls
}

const names = [
  "01-backup-legacy-first.txt",
  "02-backup-legacy-incremental.txt",
  "04-backup-metadata-first-and-second.txt",
  "05-backup-encrypted-masterkey.txt",
  "06-namespace.txt",
  "08-restore.txt"
]

describe("the original client's requests", () => {
  it.live("back up in all its ways, restore, and care for namespaces", () =>
    Effect.flatMap(scene.make, (made) =>
      Effect.promise(async () => {
        // One that was made before the recording began.
        const json = { name: "ns1" }
        const target = "/api2/json/admin/datastore/store1/namespace"
        await scene.good(client.ask(made.port, target, { method: "POST", headers: made.admin, json }))
        assert.isAtLeast(await replay(made, names), 160)
      })
    )
  )
})
