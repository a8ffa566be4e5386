/** `granary verify` by listing and by samples, as a command: what it prints, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, rmSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { vi } from "vitest"
import * as VerifyText from "../../src/cli/VerifyText.ts"
import type { SampleResult, VerifySummary } from "../../src/verify/Verify.ts"
import { copyOf, smallGoldenStore } from "../datastore/goldenStores.ts"
import { granary, granaryJson } from "./lookRun.ts"

vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))

const chunkFiles = (store: string): ReadonlyArray<string> =>
  readdirSync(join(store, ".chunks"), { recursive: true, encoding: "utf8" })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(store, ".chunks", name))

const inCopy = (title: string, test: (store: string) => Effect.Effect<void, unknown>): void =>
  it.live(title, () => Effect.flatMap(copyOf(smallGoldenStore), test), 60_000)

interface State {
  readonly state: string
}

const statesOf = (json: ReadonlyArray<State>): ReadonlyArray<string> => json.map(({ state }) => state)

const notesOf = (errors: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  errors
    .split("\n")
    .filter((line) => line.startsWith(`{"type":"verify-`))
    .map((line) => JSON.parse(line))

describe("granary verify", () => {
  inCopy("--depth listed looks for every chunk of a folder and reads none", (store) =>
    Effect.gen(function* () {
      const count = chunkFiles(store).length
      const { code, text } = yield* granary(["verify", "-r", store, "--depth", "listed"])
      assert.strictEqual(code, 0)
      assert.include(text, `looked for: ${count} chunks present\n`)
      assert.include(text, "read 0 chunks")
      const { json, errors } = yield* granaryJson(["verify", "-r", store, "--depth", "listed"])
      assert.deepStrictEqual([...new Set(statesOf(json))], ["ok"])
      assert.deepInclude(notesOf(errors)[0], { type: "verify-listing", present: count, requests: 0 })
    })
  )

  inCopy("--depth listed fails for a chunk that is missing or empty", (store) =>
    Effect.gen(function* () {
      const [gone = "", empty = ""] = chunkFiles(store)
      rmSync(gone)
      truncateSync(empty)
      const { code, text, errors } = yield* granary(["verify", "-r", store, "--depth", "listed"])
      assert.strictEqual(code, 1)
      assert.include(text, "2 not there")
      assert.include(text, "is missing")
      assert.include(text, "is corrupt")
      assert.include(errors, "failed the verification")
    })
  )

  inCopy("--sample reads a part, the same for one seed, and tells what that proves", (store) =>
    Effect.gen(function* () {
      const count = chunkFiles(store).length
      const half = Math.ceil(count / 2)
      const args = ["verify", "-r", store, "--sample", "50%", "--sample-seed", "seven"]
      const { code, text } = yield* granary(args)
      assert.strictEqual(code, 0)
      assert.include(text, `read ${half} chunks`)
      assert.include(text, `sample of 50 % (seed seven): ${half} of ${count} chunks read and found good`)
      assert.match(text, /with 95 % confidence less than [\d.]+ % of the chunks are corrupt/)
      const { errors } = yield* granaryJson(args)
      assert.deepInclude(notesOf(errors)[0], { type: "verify-sample", seed: "seven", good: half })
    })
  )

  inCopy("--plan says what would be done, and reads no chunk", (store) =>
    Effect.gen(function* () {
      const count = chunkFiles(store).length
      for (const file of chunkFiles(store)) rmSync(file)
      const args = ["verify", "-r", store, "--plan", "--depth", "listed", "--sample", "100"]
      const { code, text } = yield* granary(args)
      assert.strictEqual(code, 0)
      assert.include(text, "would verify ct/100/2024-02-29T12:34:56Z")
      assert.include(text, `looks for ${count} chunks`)
      assert.include(text, `reads ${count} chunks, at most`)
      const { json } = yield* granaryJson(args)
      assert.deepInclude(json, { depth: "listed", chunks: count, "chunks-read": count })
      assert.notProperty(json, "s3-plan")
      assert.match(json["sample-seed"], /^[0-9a-f]{16}$/)
    })
  )

  inCopy("a sample of nothing, or of more than everything, is a usage error", (store) =>
    Effect.gen(function* () {
      for (const sample of ["0", "0%", "101%", "ten", "-5%", "1e1"]) {
        const { code, errors } = yield* granary(["verify", "-r", store, `--sample=${sample}`])
        assert.strictEqual(code, 2, sample)
        assert.include(errors, "10%")
      }
      assert.strictEqual((yield* granary(["verify", "-r", store, "--sample", "0.5 %"])).code, 0)
    })
  )
})

describe("what is said of a sample", () => {
  const textOf = (sample: Partial<SampleResult>): string => {
    const statistics = { chunks: 0, storedBytes: 0, corrupt: 0, missing: 0, unreadable: 0 }
    const whole = { percent: 10, seed: "s", chunks: 1000, good: 100, corruptShareBelow: undefined, ...sample }
    const summary: VerifySummary = { snapshots: [], statistics, listing: undefined, sample: whole }
    const plan = { depth: "full", chunks: undefined, expected: undefined, snapshots: [] } as const
    return VerifyText.toText(summary, { ...plan, sizeBytes: 0, upToDate: 0, unfinished: 0 }, 1)
  }

  it("is rounded up, so that it stays true", () => {
    assert.include(textOf({ corruptShareBelow: 0.0290001 }), "less than 2.91 % of the chunks")
    assert.include(textOf({ corruptShareBelow: 0.5 }), "less than 50 % of the chunks")
    assert.include(textOf({ corruptShareBelow: 0.000012341 }), "less than 0.00124 % of the chunks")
    assert.include(textOf({ corruptShareBelow: 0.9991 }), "less than 100 % of the chunks")
  })

  it("is certainty when everything was read, and nothing when something was corrupt", () => {
    assert.include(textOf({ good: 1000, corruptShareBelow: 0 }), "none of the 1,000 chunks is corrupt")
    assert.notInclude(textOf({ corruptShareBelow: undefined }), "confidence")
  })
})
