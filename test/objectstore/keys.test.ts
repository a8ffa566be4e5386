/**
 * Keys, prefixes and what they mean in a datastore: the rules of names, the order of bytes, and that objects, keys and
 * local paths are forms of one thing.
 */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import * as StoreKeys from "../../src/objectstore/StoreKeys.ts"

describe("ObjectKey", () => {
  it("takes what every server and file system can keep, and refuses the rest", () => {
    for (const text of ["a", "a/b", ".chunks/0000/x", "é/日", "a b", "s".repeat(255), "...", "a\\b"]) {
      assert.strictEqual(ObjectKey.parse(text), text)
    }
    const long = Array.from({ length: 5 }, () => "s".repeat(204)).join("/")
    assert.strictEqual(Buffer.byteLength(long), 1024)
    assert.isTrue(ObjectKey.isObjectKey(long))
    const bad = ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\u0000", "a\nb", "a\u0085"]
    for (const text of [...bad, "s".repeat(256), "é".repeat(128), `${long}s`, "\uD800"]) {
      assert.throws(() => ObjectKey.parse(text), InvalidName)
    }
  })

  it("a prefix is empty or ends in a slash", () => {
    assert.strictEqual(ObjectKey.parsePrefix(""), "")
    assert.strictEqual(ObjectKey.parsePrefix("vm/10/"), "vm/10/")
    for (const text of ["vm/10", "/", "vm//", "vm/../", "/vm/"]) {
      assert.throws(() => ObjectKey.parsePrefix(text), InvalidName)
    }
    const prefix = ObjectKey.below(ObjectKey.parse("vm/10"))
    assert.isTrue(ObjectKey.isWithin(ObjectKey.parse("vm/10/a"), prefix))
    assert.isFalse(ObjectKey.isWithin(ObjectKey.parse("vm/100/a"), prefix))
    assert.strictEqual(ObjectKey.relativeTo(ObjectKey.parse("vm/10/a/b"), prefix), "a/b")
    assert.isUndefined(ObjectKey.relativeTo(ObjectKey.parse("vm/100"), prefix))
  })

  it("compares as bytes of UTF-8 do", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "b", "/", "\u007F", "é", "\uE000", "\uFFFD", "\u{1F600}")
    })
    fc.assert(
      fc.property(text, text, (left, right) => {
        const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right))
        assert.strictEqual(Math.sign(ObjectKey.compare(left, right)), bytes)
      }),
      { numRuns: 2000 }
    )
  })
})

const store = StoreKeys.storePrefix("store-1")
const digest = Digest.parse("0123".repeat(16))
const vm10 = BackupGroup.parse("vm/10")
const snapshot = Snapshot.parse("vm/10/2025-07-14T14:20:02Z")
const team = Namespace.parse("team/dev")

/** Each kind with the key that Proxmox Backup Server gives it, below the datastore's name, and its local path. */
const known: ReadonlyArray<readonly [StoreKeys.StoreObject, key: string, local: string | undefined]> = [
  [{ kind: "chunk", digest }, `.chunks/0123/${digest}`, `.chunks/0123/${digest}`],
  [{ kind: "bad chunk", digest, number: 3 }, `.chunks/0123/${digest}.3.bad`, `.chunks/0123/${digest}.3.bad`],
  [
    { kind: "file", namespace: team, snapshot, name: ArchiveName.fromFile("drive-scsi0.img.fidx") },
    ".cnt/ns/team/ns/dev/vm/10/2025-07-14T14:20:02Z/drive-scsi0.img.fidx",
    "ns/team/ns/dev/vm/10/2025-07-14T14:20:02Z/drive-scsi0.img.fidx"
  ],
  [
    { kind: "protected", namespace: Namespace.root, snapshot },
    ".cnt/vm/10/2025-07-14T14:20:02Z/.protected",
    "vm/10/2025-07-14T14:20:02Z/.protected"
  ],
  [
    { kind: "owner", namespace: team, group: vm10 },
    ".cnt/ns/team/ns/dev/vm/10/owner",
    "ns/team/ns/dev/vm/10/owner"
  ],
  [{ kind: "notes", namespace: Namespace.root, group: vm10 }, ".cnt/vm/10/notes", "vm/10/notes"],
  [{ kind: "namespace", namespace: team }, ".cnt/ns/team/ns/dev/.namespace", undefined],
  [{ kind: "in use" }, ".in-use", undefined]
]

const safeId = fc
  .stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,8}$/)
  .chain((id) => fc.constantFrom(id, "ns", "vm", "owner", "notes", "_.bad"))
const namespaces = fc.array(safeId, { maxLength: 4 }).map((names) => Namespace.parse(names.join("/")))
const groups = fc.record({ type: fc.constantFrom(...BackupGroup.backupTypes), id: safeId })
const snapshots = fc
  .tuple(groups, fc.integer({ min: 0, max: 4e9 }))
  .map(([group, time]) => Snapshot.make(group, time))
const digests = fc.stringMatching(/^[0-9a-f]{64}$/).map(Digest.parse)
const names = fc
  .constantFrom("index.json.blob", "client.log.blob", "root.pxar.didx", "ü.img.fidx", "owner.blob")
  .map(ArchiveName.fromFile)

const objects: fc.Arbitrary<StoreKeys.StoreObject> = fc.oneof(
  fc.record({ kind: fc.constant("chunk" as const), digest: digests }),
  fc.record({ kind: fc.constant("bad chunk" as const), digest: digests, number: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant("file" as const), namespace: namespaces, snapshot: snapshots, name: names }),
  fc.record({ kind: fc.constant("protected" as const), namespace: namespaces, snapshot: snapshots }),
  fc.record({
    kind: fc.constantFrom("owner" as const, "notes" as const),
    namespace: namespaces,
    group: groups
  }),
  fc.record({
    kind: fc.constant("namespace" as const),
    namespace: namespaces.filter((namespace) => namespace !== "")
  }),
  fc.record({ kind: fc.constant("in use" as const) })
)

/** Nearly keys: those of objects with a piece put in, taken out or doubled. */
const nearlyKeys = fc
  .tuple(
    objects.map((object) => StoreKeys.write(store, object)),
    fc.nat(),
    fc.constantFrom("", "/", ".bad", ".0.bad", "0", "ns/", "/.namespace", "A"),
    fc.nat({ max: 5 })
  )
  .map(([key, at, put, cut]) => key.slice(0, at % key.length) + put + key.slice((at % key.length) + cut))

describe("StoreKeys", () => {
  it("are those of Proxmox Backup Server", () => {
    for (const [object, key, local] of known) {
      assert.strictEqual(StoreKeys.write(store, object), `store-1/${key}`)
      assert.deepStrictEqual(StoreKeys.read(store, ObjectKey.parse(`store-1/${key}`)), object)
      assert.strictEqual(StoreKeys.toLocalPath(object), local)
      if (local !== undefined) assert.deepStrictEqual(StoreKeys.fromLocalPath(local), object)
    }
  })

  it("and objects are two forms of one thing", () => {
    fc.assert(
      fc.property(objects, (object) => {
        assert.deepStrictEqual(StoreKeys.read(store, StoreKeys.write(store, object)), object)
        const local = StoreKeys.toLocalPath(object)
        if (local !== undefined) assert.deepStrictEqual(StoreKeys.fromLocalPath(local), object)
      }),
      { numRuns: 1000 }
    )
  })

  it("are read only when they are written the same again", () => {
    let read = 0
    fc.assert(
      fc.property(nearlyKeys, (text) => {
        if (!ObjectKey.isObjectKey(text)) return
        const object = StoreKeys.read(store, text)
        if (object === undefined) return
        read += 1
        assert.strictEqual(StoreKeys.write(store, object), text)
      }),
      { numRuns: 3000 }
    )
    assert.isAbove(read, 100)
  })

  it("keep bad chunks and good ones apart, and foreign keys from both", () => {
    const kindOf = (relative: string) => StoreKeys.read(store, ObjectKey.join(store, relative))?.kind
    assert.strictEqual(kindOf(`.chunks/0123/${digest}`), "chunk")
    assert.strictEqual(kindOf(`.chunks/0123/${digest}.0.bad`), "bad chunk")
    for (const foreign of [
      `.chunks/0123/${digest}.bad`,
      `.chunks/0123/${digest}.10.bad`,
      `.chunks/0123/${digest}.0.bad.0.bad`,
      `.chunks/0124/${digest}`,
      `.chunks/0123/${digest.toUpperCase()}A`,
      `.chunks/${digest}`,
      `.chunks/0123/${digest}/x`,
      `.cnt/.chunks/0123/${digest}`,
      ".cnt/.namespace",
      ".cnt/vm/10",
      ".cnt/vm/10/other",
      ".cnt/vm/10/2025-07-14T14:20:02Z",
      ".cnt/vm/10/2025-02-30T14:20:02Z/index.json.blob",
      ".cnt/vm/10/2025-07-14T14:20:02Z/index.json",
      ".cnt/vm/10/2025-07-14T14:20:02Z/x/index.json.blob",
      ".cnt/qemu/10/owner",
      ".cnt/ns/.namespace",
      ".in-use/x",
      "other"
    ]) {
      assert.isUndefined(kindOf(foreign), foreign)
    }
    assert.isUndefined(StoreKeys.read(store, ObjectKey.parse(`store-10/.chunks/0123/${digest}`)))
    assert.isUndefined(StoreKeys.fromLocalPath("ns//vm/10/owner"))
    assert.isUndefined(StoreKeys.fromLocalPath("../vm/10/owner"))
  })

  it("refuse what has no key", () => {
    assert.throws(() => StoreKeys.write(store, { kind: "namespace", namespace: Namespace.root }), InvalidName)
    assert.throws(() => StoreKeys.write(store, { kind: "bad chunk", digest, number: 10 }), RangeError)
    assert.throws(() => StoreKeys.storePrefix("a/b"), InvalidName)
  })

  it("have prefixes that take one group, snapshot or namespace and no other", () => {
    const owner = (group: string, namespace = "") =>
      StoreKeys.write(store, {
        kind: "owner",
        namespace: Namespace.parse(namespace),
        group: BackupGroup.parse(group)
      })
    const group = StoreKeys.groupPrefix(store, Namespace.root, vm10)
    assert.isTrue(ObjectKey.isWithin(owner("vm/10"), group))
    assert.isFalse(ObjectKey.isWithin(owner("vm/100"), group))
    const foo = StoreKeys.namespacePrefix(store, Namespace.parse("foo"))
    assert.isTrue(ObjectKey.isWithin(owner("vm/10", "foo"), foo))
    assert.isTrue(ObjectKey.isWithin(owner("vm/10", "foo/bar"), foo))
    assert.isFalse(ObjectKey.isWithin(owner("vm/10", "foobar"), foo))
    assert.strictEqual(StoreKeys.namespacePrefix(store, Namespace.root), "store-1/.cnt/")
    assert.strictEqual(
      StoreKeys.snapshotPrefix(store, team, snapshot),
      "store-1/.cnt/ns/team/ns/dev/vm/10/2025-07-14T14:20:02Z/"
    )
    assert.strictEqual(StoreKeys.chunksPrefix(store), "store-1/.chunks/")
  })
})
