import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as BackupTime from "../src/model/BackupTime.ts"
import * as Digest from "../src/model/Digest.ts"
import { DigestTable } from "../src/model/DigestTable.ts"
import { InvalidName } from "../src/model/InvalidName.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as Snapshot from "../src/model/Snapshot.ts"
import * as TaskId from "../src/model/TaskId.ts"

const safeId = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)

const group = fc
  .tuple(
    fc.constantFrom(...BackupGroup.backupTypes),
    fc.oneof(safeId, fc.stringMatching(/^0{0,2}[0-9]{1,21}$/))
  )
  .map(([type, id]) => BackupGroup.make(type, id))

const time = fc.integer({ min: BackupTime.minSeconds, max: BackupTime.maxSeconds })

const snapshot = fc.tuple(group, time).map(([owner, seconds]) => Snapshot.make(owner, seconds))

/** Texts near a grammar: what a parser should take, damaged in a few places. */
const nearly = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(text, fc.nat(), fc.nat({ max: 3 }), fc.string({ unit: "binary", maxLength: 3 }))
    .map(([whole, at, removed, added]) => {
      const start = at % (whole.length + 1)
      return whole.slice(0, start) + added + whole.slice(start + removed)
    })

const parsers: ReadonlyArray<readonly [string, (text: string) => string, fc.Arbitrary<string>]> = [
  ["digest", Digest.parse, fc.stringMatching(/^[0-9a-f]{64}$/)],
  ["namespace", Namespace.parse, fc.array(safeId, { maxLength: 8 }).map((names) => names.join("/"))],
  ["backup group", (text) => BackupGroup.format(BackupGroup.parse(text)), group.map(BackupGroup.format)],
  ["backup time", (text) => BackupTime.format(BackupTime.parse(text)), time.map(BackupTime.format)],
  ["snapshot", (text) => Snapshot.format(Snapshot.parse(text)), snapshot.map(Snapshot.format)],
  ["archive file", (text) => ArchiveName.fromFile(text).file, safeId.map((stem) => `${stem}.didx`)],
  [
    "auth id",
    AuthId.parse,
    fc.tuple(safeId, safeId, safeId).map(([user, realm, token]) => `${user}@${realm}!${token}`)
  ]
]

describe("parsers of names", () => {
  for (const [name, roundTrip, text] of parsers) {
    it(`of ${name}: what is accepted is written again unchanged, the rest is refused`, () => {
      fc.assert(
        fc.property(fc.oneof(text, nearly(text), fc.string({ unit: "binary" })), (candidate) => {
          try {
            assert.strictEqual(roundTrip(candidate), candidate)
          } catch (error) {
            if (!(error instanceof InvalidName)) throw error
          }
        }),
        { numRuns: 500 }
      )
    })
  }

  it("accept no name that leaves its folder", () => {
    fc.assert(
      fc.property(snapshot, fc.array(safeId, { maxLength: 7 }), (value, names) => {
        const path = Snapshot.toPath(Namespace.parse(names.join("/")), value)
        const parts = path.split("/")
        assert.strictEqual(parts.length, names.length * 2 + 3)
        assert.isTrue(parts.every((part) => part !== "" && !part.startsWith(".")))
      })
    )
  })
})

describe("backup times", () => {
  it("agree with the calendar of the platform", () => {
    fc.assert(
      fc.property(time, (seconds) => {
        const text = BackupTime.format(seconds)
        assert.strictEqual(text, new Date(seconds * 1000).toISOString().replace(".000Z", "Z"))
        assert.strictEqual(BackupTime.parse(text), seconds)
      }),
      { numRuns: 2000 }
    )
  })

  it("are refused when the platform would carry them over", () => {
    const two = (max: number): fc.Arbitrary<string> =>
      fc.nat({ max }).map((value) => String(value).padStart(2, "0"))
    fc.assert(
      fc.property(
        fc.nat({ max: 9999 }),
        two(13),
        two(32),
        two(25),
        two(61),
        (year, month, day, hour, second) => {
          const text = `${String(year).padStart(4, "0")}-${month}-${day}T${hour}:00:${second}Z`
          const date = new Date(text)
          const exists = !Number.isNaN(date.getTime()) && date.toISOString() === text.replace("Z", ".000Z")
          if (exists) assert.strictEqual(BackupTime.parse(text), date.getTime() / 1000)
          else assert.throws(() => BackupTime.parse(text), InvalidName)
        }
      ),
      { numRuns: 2000 }
    )
  })
})

describe("orders", () => {
  const isOrder = <A>(
    values: fc.Arbitrary<A>,
    order: (left: A, right: A) => number,
    text: (value: A) => string
  ) =>
    fc.assert(
      fc.property(values, values, values, (a, b, c) => {
        assert.strictEqual(Math.sign(order(a, b)) + Math.sign(order(b, a)), 0)
        assert.strictEqual(order(a, b) === 0, text(a) === text(b))
        if (order(a, b) <= 0 && order(b, c) <= 0) assert.isAtMost(order(a, c), 0)
      }),
      { numRuns: 1000 }
    )

  it("of groups and snapshots are total", () => {
    isOrder(group, BackupGroup.order, BackupGroup.format)
    isOrder(snapshot, Snapshot.order, Snapshot.format)
  })
})

describe("task ids", () => {
  const u32 = fc.nat({ max: 0xffff_ffff })
  const taskId = fc
    .record({
      node: fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?$/),
      pid: fc.nat({ max: 0x7fff_ffff }),
      pstart: fc.nat({ max: 0xf_ffff_ffff }),
      taskId: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      starttime: u32,
      workerType: fc.stringMatching(/^[a-z_]{1,20}$/),
      workerId: fc.string({ unit: "grapheme" }),
      authId: safeId.map((user) => AuthId.parse(`${user}@pam`))
    })
    .map(TaskId.make)

  it("survive being written", () => {
    fc.assert(
      fc.property(taskId, (value) => {
        const text = TaskId.format(value)
        assert.match(text, /^UPID:[!-~]+:$/)
        assert.deepStrictEqual(TaskId.parse(text), value)
      })
    )
  })

  it("damaged are read or refused, never anything else", () => {
    fc.assert(
      fc.property(nearly(taskId.map(TaskId.format)), (text) => {
        try {
          assert.deepStrictEqual(TaskId.parse(TaskId.format(TaskId.parse(text))), TaskId.parse(text))
        } catch (error) {
          if (!(error instanceof InvalidName)) throw error
        }
      })
    )
  })
})

describe("a digest table", () => {
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })

  /** Few different digests that are alike, so that the same ones come up again and collide. */
  const alike = fc.tuple(fc.nat({ max: 31 }), fc.nat({ max: 7 })).map(([position, value]) => {
    const bytes = new Uint8Array(32)
    bytes[position] = value
    return bytes
  })

  const step = fc.tuple(
    fc.constantFrom("add", "set", "delete", "look"),
    fc.oneof({ arbitrary: alike, weight: 5 }, digest),
    fc.nat({ max: 0xffff_ffff })
  )

  it("does what a map does", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 300, size: "max" }), (seed, steps) => {
        const table = new DigestTable(0, seed)
        const model = new Map<string, number>()
        for (const [action, bytes, value] of steps) {
          const key = Digest.fromBytes(bytes)
          if (action === "add") {
            assert.strictEqual(table.add(bytes), !model.has(key))
            if (!model.has(key)) model.set(key, 0)
          } else if (action === "set") {
            table.set(bytes, 0, value)
            model.set(key, value)
          } else if (action === "delete") assert.strictEqual(table.delete(bytes), model.delete(key))
          assert.strictEqual(table.get(bytes), model.get(key))
          assert.strictEqual(table.has(bytes), model.has(key))
          assert.strictEqual(table.size, model.size)
        }
        const byKey = (left: readonly [string, number], right: readonly [string, number]) =>
          left[0] < right[0] ? -1 : 1
        assert.deepStrictEqual(
          [...table.entries()].sort(byKey),
          [...model].sort(byKey) as Array<[Digest.Digest, number]>
        )
        for (const [key, value] of model) assert.strictEqual(table.get(Buffer.from(key, "hex")), value)
        assert.strictEqual(table.toBytes().length, model.size * 32)
      }),
      { numRuns: 200 }
    )
  })
})
