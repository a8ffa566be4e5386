/** Settings of S3 endpoints: what is taken, what is refused and with which words, and where texts come from. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import { writeFileSync } from "node:fs"
import { inspect } from "node:util"
import * as S3Settings from "../../../src/objectstore/s3/S3Settings.ts"
import { decodeKeys, load } from "../../../src/objectstore/s3/S3SettingSources.ts"
import * as NodeFiles from "../../../src/platform/NodeFiles.ts"
import { scratchFolder } from "../../platform/scratch.ts"

const least = {
  endpoint: "{{bucket}}.s3.{{region}}.example.org",
  bucket: "my-bucket",
  "access-key": "the-access-key",
  "secret-key": "the-secret-key"
}

const fingerprint = Array.from({ length: 32 }, (_, index) => index.toString(16).padStart(2, "0")).join(":")

const decode = (more: Readonly<Record<string, string | undefined>>) =>
  S3Settings.decode({ ...least, ...more })

const errorOf = (run: () => unknown): S3Settings.S3SettingsError => {
  try {
    run()
  } catch (error) {
    if (error instanceof S3Settings.S3SettingsError) return error
    throw error
  }
  return assert.fail("nothing is refused")
}

describe("settings", () => {
  it("have PBS's defaults", () => {
    const { accessKey, secretKey, ...rest } = S3Settings.decode(least)
    assert.deepStrictEqual(rest, {
      scheme: "https",
      endpoint: "{{bucket}}.s3.{{region}}.example.org",
      bucket: "my-bucket",
      region: "us-west-1",
      pathStyle: false,
      quirks: new Set<S3Settings.Quirk>()
    })
    assert.strictEqual(Redacted.value(accessKey), "the-access-key")
    assert.strictEqual(Redacted.value(secretKey), "the-secret-key")
  })

  it("take everything that PBS has", () => {
    const settings = decode({
      port: "9000",
      region: "auto",
      "path-style": "true",
      fingerprint: fingerprint.toUpperCase(),
      "put-rate-limit": "50",
      "rate-in": "10MiB",
      "burst-in": "1.5 MB",
      "rate-out": "2G",
      "burst-out": "1000",
      "provider-quirks": "skip-if-none-match-header, delete-objects-via-delete-object"
    })
    assert.strictEqual(settings.port, 9000)
    assert.strictEqual(settings.region, "auto")
    assert.isTrue(settings.pathStyle)
    assert.strictEqual(settings.fingerprint, fingerprint)
    assert.strictEqual(settings.putsPerSecond, 50)
    assert.strictEqual(settings.rateInBytesPerSecond, 10 * 1024 * 1024)
    assert.strictEqual(settings.burstInBytes, 1_500_000)
    assert.strictEqual(settings.rateOutBytesPerSecond, 2_000_000_000)
    assert.strictEqual(settings.burstOutBytes, 1000)
    assert.deepStrictEqual(
      [...settings.quirks],
      ["skip-if-none-match-header", "delete-objects-via-delete-object"]
    )
  })

  it("take a URL of scheme, host and port for an endpoint", () => {
    const { scheme, endpoint, port } = decode({ endpoint: " https://S3.Example.org:8443/ " })
    assert.deepStrictEqual(
      { scheme, endpoint, port },
      { scheme: "https", endpoint: "s3.example.org", port: 8443 }
    )
    assert.strictEqual(decode({ endpoint: "https://a.org:1", port: "1" }).port, 1)
    assert.strictEqual(errorOf(() => decode({ endpoint: "https://a.org:1", port: "2" })).setting, "port")
    assert.strictEqual(decode({ endpoint: "[::1]:9000", "path-style": "on" }).endpoint, "[::1]")
  })

  it("fill templates", () => {
    const settings = decode({ region: "eu-1" })
    assert.strictEqual(S3Settings.hostOf(settings, "my-bucket"), "my-bucket.s3.eu-1.example.org")
    assert.strictEqual(S3Settings.hostOf(settings, undefined), "s3.eu-1.example.org")
    assert.strictEqual(S3Settings.hostOf(decode({ endpoint: "x.org" }), "my-bucket"), "x.org")
  })

  it("allow plain http on this machine, and elsewhere only when asked", () => {
    const pathStyle = { "path-style": "true" }
    for (const host of ["127.0.0.1", "127.9.9.9:7480", "localhost", "a.localhost", "[::1]:80"]) {
      assert.strictEqual(decode({ endpoint: `http://${host}`, ...pathStyle }).scheme, "http", host)
    }
    for (const host of ["example.org", "10.0.0.1", "128.0.0.1", "localhost.example.org", "127.0.0.1.org"]) {
      const error = errorOf(() => decode({ endpoint: `http://${host}`, ...pathStyle }))
      assert.strictEqual(error.setting, "endpoint", host)
      assert.include(error.hint, "insecure-http")
      const asked = decode({ endpoint: `http://${host}`, "insecure-http": "yes", ...pathStyle })
      assert.strictEqual(asked.scheme, "http")
    }
    assert.strictEqual(decode({ "insecure-http": "true" }).scheme, "http")
    assert.strictEqual(decode({ endpoint: "https://a.org", "insecure-http": "true" }).scheme, "https")
  })

  const refused: ReadonlyArray<readonly [setting: string, text: string]> = [
    ["endpoint", "https://"],
    ["endpoint", "ftp://a.org"],
    ["endpoint", "a.org/path"],
    ["endpoint", "user@a.org"],
    ["endpoint", "a..org"],
    ["endpoint", "-a.org"],
    ["endpoint", "{{zone}}.a.org"],
    ["endpoint", "a b.org"],
    ["endpoint", "a.org:99999"],
    ["endpoint", "x".repeat(300)],
    ["port", "0"],
    ["port", "65536"],
    ["port", "80a"],
    ["bucket", "ab"],
    ["bucket", "My-Bucket"],
    ["bucket", "-bucket"],
    ["bucket", "a.bucket"],
    ["bucket", "b".repeat(64)],
    ["bucket", "xn--bucket"],
    ["bucket", "bucket--x-s3"],
    ["region", "EU"],
    ["region", "e"],
    ["region", "-eu"],
    ["region", "e".repeat(33)],
    ["path-style", "maybe"],
    ["insecure-http", "2"],
    ["fingerprint", "ab:cd"],
    ["fingerprint", fingerprint.replaceAll(":", "")],
    ["fingerprint", `${fingerprint}:00`],
    ["put-rate-limit", "0"],
    ["put-rate-limit", "1.5"],
    ["put-rate-limit", "99999999"],
    ["rate-in", "fast"],
    ["rate-in", "0"],
    ["burst-out", "1XB"],
    ["provider-quirks", "fly"],
    ["no-such-setting", "1"]
  ]
  for (const [setting, text] of refused) {
    it(`refuse ${setting} ${text.slice(0, 30)}, and say what is expected`, () => {
      const error = errorOf(() => decode({ [setting]: text }))
      const place = setting === "endpoint" && text.endsWith("99999") ? "endpoint" : setting
      assert.strictEqual(error.setting, place)
      assert.match(error.message, new RegExp(`^S3 setting ${place}.*: expected .+`))
      assert.notInclude(error.message, "\n")
      assert.isBelow(error.message.length, 400)
      assert.isNotEmpty(error.hint)
    })
  }

  it("need path style where the host has no name", () => {
    for (const endpoint of ["127.0.0.1", "localhost:1", "[::1]"]) {
      assert.strictEqual(errorOf(() => decode({ endpoint })).setting, "path-style")
    }
  })

  it("name what is missing, and the variable that would give it", () => {
    for (const setting of ["endpoint", "bucket", "access-key", "secret-key"]) {
      for (const text of [undefined, "", "  "]) {
        const error = errorOf(() => decode({ [setting]: text }))
        assert.strictEqual(error.setting, setting)
        assert.include(error.hint, `GRANARY_S3_${setting.replace("-", "_").toUpperCase()}`)
      }
    }
  })

  it("never show a key", () => {
    const settings = S3Settings.decode(least)
    for (const shown of [JSON.stringify(settings), inspect(settings), String(settings.secretKey)]) {
      assert.notInclude(shown, "the-secret-key")
      assert.notInclude(shown, "the-access-key")
    }
    const error = errorOf(() => decode({ "secret-key": "pass word" }))
    assert.notInclude(error.message + error.hint + JSON.stringify(error), "word")
  })

  it("any text is taken or refused with the setting's name, and taken alike again", () => {
    const name = fc.constantFrom(...S3Settings.settingNames)
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom("https://", "http://", "{{bucket}}", ":", ".", "a", "1", "MiB", "-", "true")
    )
    const text = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(""))
    fc.assert(
      fc.property(name, text, (setting, value) => {
        let settings: S3Settings.S3Settings
        try {
          settings = decode({ [setting]: value })
        } catch (error) {
          assert.instanceOf(error, S3Settings.S3SettingsError)
          return
        }
        const host = S3Settings.hostOf(settings, settings.bucket)
        assert.notInclude(host, "{")
        const port = settings.port === undefined ? "" : `:${settings.port}`
        const url = new URL(`${settings.scheme}://${host}${port}/`)
        assert.strictEqual(url.username + url.pathname + url.search, "/")
        assert.deepStrictEqual(decode({ [setting]: ` ${value} ` }), settings)
      }),
      { numRuns: 500 }
    )
  })
})

describe("where settings come from", () => {
  const environment = (values: Readonly<Record<string, string>>) =>
    ConfigProvider.layer(ConfigProvider.fromUnknown(values))

  it.effect("the environment gives every setting", () =>
    Effect.gen(function* () {
      const settings = yield* load({})
      assert.strictEqual(settings.endpoint, "s3.example.org")
      assert.strictEqual(settings.bucket, "from-environment")
      assert.isTrue(settings.pathStyle)
      assert.strictEqual(settings.putsPerSecond, 7)
      assert.strictEqual(Redacted.value(settings.secretKey), "environment-secret")
    }).pipe(
      Effect.provide([
        NodeFiles.layer,
        environment({
          GRANARY_S3_ENDPOINT: "s3.example.org",
          GRANARY_S3_BUCKET: "from-environment",
          GRANARY_S3_PATH_STYLE: "true",
          GRANARY_S3_PUT_RATE_LIMIT: "7",
          GRANARY_S3_ACCESS_KEY: "environment-access",
          GRANARY_S3_SECRET_KEY: "environment-secret"
        })
      ])
    )
  )

  it.live("what the caller has comes before the key file, and that before the environment", () =>
    Effect.gen(function* () {
      const keyFile = `${yield* scratchFolder}/keys`
      writeFileSync(keyFile, "# keys\n\naccess-key file-access\nsecret-key = file-secret\r\n")
      const texts = { endpoint: "a.org", bucket: "my-bucket", "access-key": "own-access", "secret-key": "" }
      const settings = yield* load(texts, { keyFile })
      assert.strictEqual(Redacted.value(settings.accessKey), "own-access")
      assert.strictEqual(Redacted.value(settings.secretKey), "file-secret")
      assert.strictEqual(settings.region, "from-environment")
    }).pipe(
      Effect.provide([
        NodeFiles.layer,
        environment({ GRANARY_S3_SECRET_KEY: "environment-secret", GRANARY_S3_REGION: "from-environment" })
      ])
    )
  )

  it.live("what is wrong is a failure, not a defect", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load({ endpoint: "a.org" }))
      assert.strictEqual(error._tag, "S3SettingsError")
      const missing = yield* Effect.flip(load(least, { keyFile: `${yield* scratchFolder}/none` }))
      assert.strictEqual(missing._tag, "FilesError")
    }).pipe(Effect.provide([NodeFiles.layer, environment({})]))
  )

  it("a bad line of a key file is named by its number, and not shown", () => {
    const error = errorOf(() => decodeKeys("access-key a\nsecretkey hidden\n"))
    assert.include(error.message, "line 2")
    assert.notInclude(error.message + error.hint, "hidden")
  })
})
