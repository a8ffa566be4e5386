/**
 * The harness itself: the invariants notice every kind of damage, settling notices what is left over, and a store that
 * is as it should be passes.
 */
import { assert, describe, it } from "@effect/vitest"
import type { MemoryDisk } from "../../src/testing.ts"
import { fileArchive, backUp, insertLoose, snapshotAt } from "./harness/actors.ts"
import { complaint, type Expectations, leftovers } from "./harness/Invariants.ts"
import { settling } from "./harness/settling.ts"
import { basePath, viewStore } from "./harness/StoreView.ts"
import { digestOfText, pathOfChunk, prepare, timeBefore } from "./harness/World.ts"

const snapshot = `host/a/${snapshotAt(timeBefore(0)).directory}`
const folder = `${basePath}/${snapshot}`

const store = prepare({
  contents: ["one", "two", "loose"],
  setUp: backUp(undefined, { time: timeBefore(0), contents: ["one", "two"] })
})

const expectations: Expectations = {
  acknowledged: [{ snapshot, digests: [digestOfText("one"), digestOfText("two")] }],
  givenUp: new Set()
}

const complaintAfter = (damage: (disk: MemoryDisk) => void, expected = expectations): string | undefined => {
  const disk = store.fork()
  damage(disk)
  return complaint(viewStore(disk), expected)
}

describe("invariants", () => {
  it("hold of a store as it should be", () => {
    assert.isUndefined(complaintAfter(() => undefined))
    assert.strictEqual(viewStore(store).snapshots.length, 1)
    assert.strictEqual(viewStore(store).chunks.get(digestOfText("one")), "good")
  })

  it("notice a chunk that is absent, empty or wrong", () => {
    const chunk = pathOfChunk("one")
    assert.match(complaintAfter((disk) => disk.unlink(chunk, 0)) ?? "", /^I1: .* which is absent$/)
    assert.match(complaintAfter((disk) => disk.put(chunk, new Uint8Array(0))) ?? "", /which is empty$/)
    assert.match(complaintAfter((disk) => disk.put(chunk, Buffer.from("B"))) ?? "", /which is wrong$/)
    const other = store.stat(pathOfChunk("two")).content
    assert.match(complaintAfter((disk) => disk.put(chunk, other)) ?? "", /which is wrong$/)
  })

  it("take a condemned chunk for reported, and a good one that was condemned for a fault", () => {
    const chunk = pathOfChunk("one")
    assert.isUndefined(
      complaintAfter((disk) => {
        disk.put(chunk, Buffer.from("B"))
        disk.rename(chunk, `${chunk}.0.bad`, 0)
      })
    )
    assert.match(complaintAfter((disk) => disk.rename(chunk, `${chunk}.0.bad`, 0)) ?? "", /^I4: /)
  })

  it("notice damage of manifests and indexes", () => {
    const damage = (name: string) => (disk: MemoryDisk) => disk.put(`${folder}/${name}`, Buffer.alloc(5000))
    assert.match(complaintAfter(damage("index.json.blob")) ?? "", /^I1: .* its manifest is damaged$/)
    assert.match(complaintAfter(damage(fileArchive.file)) ?? "", /^I1: .* is damaged$/)
    assert.match(
      complaintAfter((disk) => disk.unlink(`${folder}/${fileArchive.file}`, 0)) ?? "",
      /is missing$/
    )
  })

  it("notice a lost snapshot, unless it was given up", () => {
    const lose = (disk: MemoryDisk) => disk.unlink(`${folder}/index.json.blob`, 0)
    assert.match(complaintAfter(lose) ?? "", /^I2: /)
    assert.isUndefined(complaintAfter(lose, { ...expectations, givenUp: new Set([snapshot]) }))
  })

  it("excuse what the scenario damaged, and nothing else", () => {
    const excuses: Expectations["excuses"] = (_path, digest) => digest === digestOfText("one")
    const empty = (content: string) => (disk: MemoryDisk) => disk.put(pathOfChunk(content), new Uint8Array(0))
    assert.isUndefined(complaintAfter(empty("one"), { ...expectations, excuses }))
    assert.match(complaintAfter(empty("two"), { ...expectations, excuses }) ?? "", /which is empty$/)
  })
})

describe("settling", () => {
  const settle = settling()
  const verdictOn = (disk: MemoryDisk) => settle(disk, viewStore(disk), expectations)

  it("collects what nobody needs", () => {
    const disk = prepare({ contents: ["loose"], setUp: insertLoose("loose") })
    assert.match(leftovers(viewStore(disk)) ?? "", /^I5: chunk /)
    assert.isUndefined(settling()(disk, viewStore(disk), { acknowledged: [], givenUp: new Set() }))
    assert.isUndefined(verdictOn(store))
  })

  it("notices temporary files, condemned copies and leases that stay", () => {
    const after = (change: (disk: MemoryDisk) => void) => {
      const disk = store.fork()
      change(disk)
      return leftovers(viewStore(disk)) ?? ""
    }
    const chunk = pathOfChunk("one")
    assert.match(
      after((disk) => disk.create(`${chunk}.tmp_aaaaaa`, 0o644, 0)),
      /\.tmp_aaaaaa was not collected$/
    )
    assert.match(
      after((disk) => disk.create(`${chunk}.0.bad`, 0o644, 0)),
      /^I5: a condemned copy /
    )
    assert.match(
      after((disk) => disk.create(`${basePath}/.granary-writers/dead.json`, 0o644, 0)),
      /^I5: 1 leases of dead writers/
    )
  })

  it("says when garbage cannot be collected any more", () => {
    const disk = store.fork()
    disk.put(`${folder}/${fileArchive.file}`, Buffer.alloc(5000))
    assert.match(verdictOn(disk) ?? "", /^I5: garbage cannot be collected any more/)
  })
})
