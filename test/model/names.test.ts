import { assert, describe, it } from "@effect/vitest"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as CryptMode from "../../src/model/CryptMode.ts"
import * as Digest from "../../src/model/Digest.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as Namespace from "../../src/model/Namespace.ts"

const refuses = (run: () => unknown, pattern: RegExp = /^bad /): void => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, InvalidName)
    assert.match(error.message, pattern)
    return
  }
  assert.fail("expected an InvalidName")
}

const badIds = ["", ".", "..", ".a", "-a", "a/b", "a b", "a\0", "ä", "a\n", "a:b", "a".repeat(256)]

describe("InvalidName", () => {
  it("says what was wrong, on one line and not at length", () => {
    refuses(
      () => BackupGroup.make("host", "a/b"),
      /^bad backup id "a\/b": expected letters, digits, "_", "\." and "-"/
    )
    refuses(() => BackupGroup.make("host", "\u001b[2J\n"), /^bad backup id "\\u001b\[2J\\n"/)
    refuses(() => BackupGroup.make("host", "!".repeat(1_000_000)), /^.{1,300}$/)
  })
})

describe("Digest", () => {
  const text = "00ff".repeat(16)

  it("converts between text and bytes", () => {
    const bytes = Digest.toBytes(Digest.parse(text))
    assert.deepStrictEqual([bytes.length, bytes[0], bytes[1], bytes[31]], [32, 0, 255, 255])
    assert.strictEqual(Digest.fromBytes(bytes), text)
    const shifted = new Uint8Array(40)
    shifted.set(bytes, 7)
    assert.strictEqual(Digest.fromBytes(shifted, 7), text)
    assert.strictEqual(Digest.fromBytes(shifted.subarray(3), 4), text)
    assert.strictEqual(Digest.prefix(Digest.parse(text)), "00ff")
  })

  it("refuses other texts, and bytes that are not there", () => {
    for (const bad of ["", text.slice(1), `${text}0`, text.toUpperCase(), `${text}\n`, "g".repeat(64)]) {
      assert.isFalse(Digest.isDigest(bad))
      refuses(() => Digest.parse(bad), /bad digest/)
    }
    assert.throws(() => Digest.fromBytes(new Uint8Array(40), 9), RangeError)
    assert.throws(() => Digest.fromBytes(new Uint8Array(40), -1), RangeError)
  })
})

describe("Namespace", () => {
  it("has components, a depth, parents and a path", () => {
    const namespace = Namespace.parse("team/dev")
    assert.deepStrictEqual(Namespace.components(namespace), ["team", "dev"])
    assert.deepStrictEqual(Namespace.components(Namespace.root), [])
    assert.strictEqual(Namespace.depth(namespace), 2)
    assert.strictEqual(Namespace.depth(Namespace.root), 0)
    assert.strictEqual(Namespace.parent(namespace), "team")
    assert.strictEqual(Namespace.parent(Namespace.parse("team")), Namespace.root)
    assert.isUndefined(Namespace.parent(Namespace.root))
    assert.strictEqual(Namespace.child(Namespace.child(Namespace.root, "team"), "dev"), namespace)
    assert.strictEqual(Namespace.toPath(namespace), "ns/team/ns/dev")
    assert.strictEqual(Namespace.toPath(Namespace.root), "")
    assert.strictEqual(Namespace.parse(""), Namespace.root)
  })

  it("knows what lies within another", () => {
    const [team, teams] = [Namespace.parse("team"), Namespace.parse("teams")]
    assert.isTrue(Namespace.isWithin(Namespace.parse("team/dev"), team))
    assert.isTrue(Namespace.isWithin(team, team))
    assert.isTrue(Namespace.isWithin(team, Namespace.root))
    assert.isFalse(Namespace.isWithin(teams, team))
    assert.isFalse(Namespace.isWithin(Namespace.root, team))
  })

  it("keeps to the limits", () => {
    assert.strictEqual(Namespace.depth(Namespace.parse("a/b/c/d/e/f/g")), 7)
    refuses(() => Namespace.parse("a/b/c/d/e/f/g/h"), /at most 7 components/)
    refuses(() => Namespace.child(Namespace.parse("a/b/c/d/e/f/g"), "h"), /at most 7 components/)
    const half = "a".repeat(128)
    assert.strictEqual(Namespace.parse(`${half}/${"b".repeat(127)}`).length, 256)
    refuses(() => Namespace.parse(`${half}/${half}`), /at most 256 characters/)
  })

  it("refuses other components", () => {
    for (const bad of badIds.slice(1).filter((id) => id !== "a/b")) {
      refuses(() => Namespace.parse(bad))
      refuses(() => Namespace.parse(`a/${bad}`))
    }
    for (const bad of ["/", "/a", "a/", "a//b"]) refuses(() => Namespace.parse(bad))
    for (const bad of badIds) refuses(() => Namespace.child(Namespace.root, bad))
  })
})

describe("BackupGroup", () => {
  it("reads and writes type/id", () => {
    assert.deepStrictEqual(BackupGroup.parse("host/a.b-c_1"), { type: "host", id: "a.b-c_1" })
    assert.strictEqual(BackupGroup.format(BackupGroup.make("vm", "100")), "vm/100")
    for (const bad of badIds) {
      assert.isFalse(BackupGroup.isBackupId(bad))
      refuses(() => BackupGroup.parse(`host/${bad}`))
    }
    for (const bad of ["", "host", "Host/a", "lxc/1", "/a", "ns/a", "host/a/b"])
      refuses(() => BackupGroup.parse(bad))
  })

  it("sorts types by name, numbers before names, numbers by value", () => {
    const sorted = [
      "ct/9",
      "ct/10",
      "ct/18446744073709551615",
      "ct/18446744073709551616",
      "ct/a",
      "host/7",
      "host/007",
      "host/B",
      "host/_",
      "host/a",
      "vm/1"
    ]
    // Equal values: the text decides, and "0" comes before "7".
    sorted.splice(5, 2, "host/007", "host/7")
    const shuffled = sorted.toReversed().map(BackupGroup.parse)
    assert.deepStrictEqual(shuffled.sort(BackupGroup.order).map(BackupGroup.format), sorted)
  })
})

describe("ArchiveName", () => {
  it("maps a client's names to files", () => {
    const files = {
      "root.pxar": "root.pxar.didx",
      "root.mpxar": "root.mpxar.didx",
      "root.ppxar": "root.ppxar.didx",
      "catalog.pcat1": "catalog.pcat1.didx",
      "disk.img": "disk.img.fidx",
      "qemu-server.conf": "qemu-server.conf.blob",
      "index.json": "index.json.blob",
      "rsa-encrypted.key": "rsa-encrypted.key.blob",
      "client.log": "client.log.blob"
    }
    for (const [client, file] of Object.entries(files)) {
      const name = ArchiveName.fromClient(client)
      assert.deepStrictEqual([name.client, name.file], [client, file])
      assert.deepStrictEqual(ArchiveName.fromClient(file), name)
      assert.deepStrictEqual(ArchiveName.fromFile(file), name)
    }
  })

  it("tells the kind by the last extension alone", () => {
    assert.strictEqual(ArchiveName.fromFile("a.didx.fidx").kind, "fixed")
    assert.strictEqual(ArchiveName.fromFile("a.fidx.didx").kind, "dynamic")
    assert.strictEqual(ArchiveName.fromFile("a.img.blob").kind, "blob")
    assert.strictEqual(ArchiveName.catalog.file, "catalog.pcat1.didx")
    assert.strictEqual(ArchiveName.rsaKey.kind, "blob")
    assert.strictEqual(ArchiveName.clientLog.file, ArchiveName.clientLogFile)
    assert.strictEqual(ArchiveName.manifestFile, "index.json.blob")
  })

  it("refuses what is not one visible file name", () => {
    const stems = [
      "",
      "../x",
      "a/b",
      ".hidden",
      "a\0b",
      "a\nb",
      "a\u001b[m",
      "a\u0085",
      "\ud800",
      "x".repeat(251),
      "ü".repeat(126)
    ]
    for (const stem of stems) {
      refuses(() => ArchiveName.fromFile(`${stem}.blob`), /bad archive name/)
      refuses(() => ArchiveName.fromClient(`${stem}.conf`), /bad archive name/)
    }
    for (const bad of ["", "a", "a.", "a.pxar", "a.BLOB", "blob", ".protected", "owner"]) {
      refuses(() => ArchiveName.fromFile(bad))
    }
    for (const bad of ["", "a", "a.txt", "pxar"]) refuses(() => ArchiveName.fromClient(bad))
  })
})

describe("AuthId", () => {
  it("is a user or a token of a user", () => {
    const token = AuthId.parse("alice@pbs!laptop")
    assert.strictEqual(AuthId.userOf(token), "alice@pbs")
    assert.strictEqual(AuthId.tokenOf(token), "laptop")
    const user = AuthId.parse("a!b@c@pam")
    assert.strictEqual(AuthId.userOf(user), user)
    assert.isUndefined(AuthId.tokenOf(user))
    assert.strictEqual(AuthId.tokenOf(AuthId.parse("a!b@pam!t")), "t")
  })

  it("refuses other texts", () => {
    const bad = [
      "",
      "root",
      "@pam",
      "root@",
      "root@pam!",
      "root@pam!a!b",
      "ro ot@pam",
      "a:b@pam",
      "a/b@pam",
      "root@pam\n",
      "a\u0001@pam"
    ]
    for (const text of bad) refuses(() => AuthId.parse(text), /bad auth id/)
  })

  it("lets the owner in, and the user of the token that owns", () => {
    const [user, token, other] = ["alice@pbs", "alice@pbs!laptop", "bob@pbs"].map(AuthId.parse)
    if (user === undefined || token === undefined || other === undefined) return assert.fail("three ids")
    assert.isTrue(AuthId.isOwner(user, user))
    assert.isTrue(AuthId.isOwner(token, token))
    assert.isTrue(AuthId.isOwner(token, user))
    assert.isFalse(AuthId.isOwner(user, token))
    assert.isFalse(AuthId.isOwner(token, AuthId.parse("alice@pbs!phone")))
    assert.isFalse(AuthId.isOwner(token, other))
    assert.isFalse(AuthId.isOwner(user, other))
  })
})

describe("CryptMode", () => {
  it("has three values", () => {
    for (const mode of ["none", "encrypt", "sign-only"]) assert.isTrue(CryptMode.isCryptMode(mode))
    for (const mode of ["", "None", "sign", 1, null, undefined]) assert.isFalse(CryptMode.isCryptMode(mode))
  })
})
