/** Plans and usage in money, by the price table of a provider. */
import { assert, describe } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails } from "../e2e/cli.ts"
import { backupOf, compare, type Costs, made, repository, withScene } from "./costScene.ts"

describe("a price table", () => {
  const table = {
    currency: "EUR",
    "put-per-1000": 5,
    "list-per-1000": 7,
    "get-per-1000": 0.4,
    "delete-per-1000": 0.1,
    "egress-per-gb": 90,
    "storage-per-gb-month": 20
  }

  const priceOf = (costs: Costs): number =>
    (costs["put-requests"] * 5 +
      costs["list-requests"] * 7 +
      costs["get-requests"] * 0.4 +
      costs["delete-requests"] * 0.1) /
      1000 +
    (costs["bytes-in"] * 90) / 1e9

  withScene("makes money of plans and of what was used", async (scene) => {
    const source = await made(scene)
    const prices = path.join(scene.folder, "prices.json")
    writeFileSync(prices, JSON.stringify(table))
    const args = backupOf(source, 1_700_000_000, "--prices", prices)
    const { expected, used } = await compare(scene, args)
    for (const costs of [expected, used]) {
      assert.approximately(costs.price ?? 0, priceOf(costs), 1e-9)
      assert.strictEqual(costs.currency, "EUR")
    }
    assert.approximately(
      Number(Reflect.get(expected, "price-per-month")),
      expected["stored-bytes"] * 20e-9,
      1e-9
    )
    assert.deepStrictEqual(Object.keys(expected).toSorted(), [
      "bytes-are",
      "bytes-in",
      "bytes-out",
      "currency",
      "delete-requests",
      "get-requests",
      "list-requests",
      "price",
      "price-per-month",
      "put-requests",
      "requests",
      "requests-are",
      "stored-bytes"
    ])
    const environment = { GRANARY_PRICES: prices }
    const listed = await scene.succeed(["verify", "-r", repository, "--depth", "listed"], { environment })
    assert.match(listed.errors, /^s3: 2 requests \(2 list\), 0 B sent, 0 B received; 0\.014 EUR$/m)
    const text = await scene.succeed([...backupOf(source, 1_700_000_060), "--plan"], { environment })
    assert.match(text.text, /; about 0\.0\d+ EUR; about .* more stored: 0\.0\d+ EUR a month$/m)
  })

  withScene("that is none is told in one line, before anything is asked", async (scene) => {
    const source = await made(scene)
    const prices = path.join(scene.folder, "prices.json")
    const asked = scene.endpoint.served.length
    const bad: ReadonlyArray<readonly [string, RegExp]> = [
      ["", /prices\.json is no price table: .*put-per-1000/],
      [JSON.stringify({ ...table, puts: 1 }), /prices\.json is no price table: Unknown key at \["puts"\]/],
      [JSON.stringify({ ...table, "get-per-1000": -1 }), /greater than or equal to 0 at \["get-per-1000"\]/]
    ]
    for (const [content, line] of bad) {
      writeFileSync(prices, content)
      const args = [...backupOf(source, 1_700_000_000), "--plan", "--prices", prices]
      assertFails(await scene.run(args), 2, line)
    }
    const missing = ["verify", "-r", repository, "--prices", path.join(scene.folder, "none")]
    assertFails(await scene.run(missing), 1, /none: no such file/)
    assert.strictEqual(scene.endpoint.served.length, asked)
  })
})
