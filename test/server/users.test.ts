/** Who is asking: passwords, tickets and tokens, on a real file with real hashes and a clock that the test moves. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as AuthId from "../../src/model/AuthId.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as Credentials from "../../src/server/users/Credentials.ts"
import * as Secrets from "../../src/server/users/Secrets.ts"
import * as UserRecords from "../../src/server/users/UserRecords.ts"
import * as Users from "../../src/server/users/Users.ts"
import { scratchFolder } from "../platform/scratch.ts"

const platform = Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer)

const alice = AuthId.parse("alice@pbs")
const laptop = AuthId.parse("alice@pbs!laptop")

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Runs the effect while the clock goes on; answers how long it took by that clock. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    let end = start
    const noted = Effect.tap(Effect.exit(effect), () =>
      Effect.map(Clock.currentTimeMillis, (now) => void (end = now))
    )
    const fiber = yield* Effect.forkChild(noted)
    while (fiber.pollUnsafe() === undefined) {
      yield* turn
      yield* TestClock.adjust("50 millis")
    }
    const exit = yield* Fiber.join(fiber)
    return { exit, millis: end - start }
  })

const inFolder = <A, E>(
  title: string,
  test: (folder: string) => Effect.Effect<A, E, Layer.Success<typeof platform>>
) =>
  it.effect(title, () =>
    Effect.flatMap(scratchFolder, (folder) => Effect.provide(test(path.join(folder, "granary")), platform))
  )

describe("Users", () => {
  inFolder("keep secrets hashed, for their owner's eyes", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice, { password: "correct horse" })
      const secret = yield* UserRecords.putToken(folder, laptop)
      assert.match(secret, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
      const file = path.join(folder, "users.cfg")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const text = readFileSync(file, "utf8")
      assert.notInclude(text, "correct horse")
      assert.notInclude(text, secret)
      assert.strictEqual(text.match(/secret scrypt\$14\$8\$1\$/g)?.length, 2)
      assert.match(
        (yield* Effect.flip(UserRecords.putToken(folder, AuthId.parse("bob@pbs!x")))).message,
        /no such user/
      )
    })
  )

  inFolder("take a right password and a ticket for a ticket, and nothing else", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice, { password: "correct horse" })
      const users = yield* Users.make(folder)
      const { csrfToken, ticket, user } = yield* users.logIn("alice@pbs", "correct horse")
      assert.strictEqual(user, alice)
      assert.match(ticket, /^PBS:alice@pbs:[0-9A-F]{8}::[A-Za-z0-9+/]+$/)
      assert.strictEqual(yield* users.proveTicket(ticket), alice)
      assert.isTrue(yield* users.isCsrfToken(alice, csrfToken))
      assert.isFalse(yield* users.isCsrfToken(AuthId.parse("bob@pbs"), csrfToken))
      assert.strictEqual((yield* users.logIn("alice@pbs", ticket)).user, alice)
      const renewedByOther = yield* Effect.flip(users.logIn("bob@pbs", ticket))
      assert.strictEqual(renewedByOther.status, 401)
      for (const position of [4, 14, ticket.length - 3]) {
        const letter = ticket[position] === "A" ? "B" : "A"
        const forged = ticket.slice(0, position) + letter + ticket.slice(position + 1)
        assert.strictEqual((yield* Effect.flip(users.proveTicket(forged))).status, 401)
      }
      yield* TestClock.adjust("7200 seconds")
      assert.strictEqual(yield* users.proveTicket(ticket), alice)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(users.proveTicket(ticket))).status, 401)
      assert.isFalse(yield* users.isCsrfToken(alice, csrfToken))
    })
  )

  inFolder("survive a start with their tickets; a new password ends them", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice, { password: "one" })
      const { ticket } = yield* (yield* Users.make(folder)).logIn("alice@pbs", "one")
      const users = yield* Users.make(folder)
      assert.strictEqual(yield* users.proveTicket(ticket), alice)
      assert.strictEqual(statSync(path.join(folder, "ticket.key")).mode & 0o777, 0o600)
      yield* UserRecords.putUser(folder, alice, { password: "two" })
      assert.strictEqual((yield* Effect.flip(users.proveTicket(ticket))).status, 401)
      assert.strictEqual((yield* timed(users.logIn("alice@pbs", "one"))).exit._tag, "Failure")
      assert.strictEqual((yield* users.logIn("alice@pbs", "two")).user, alice)
    })
  )

  inFolder("prove a token once and remember it, until it is changed or somebody is disabled", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice)
      const secret = yield* UserRecords.putToken(folder, laptop)
      const users = yield* Users.make(folder)
      const prove = users.proveToken("alice@pbs!laptop", secret)
      assert.strictEqual(yield* prove, laptop)
      const started = performance.now()
      for (let count = 0; count < 200; count++) yield* prove
      assert.isBelow((performance.now() - started) / 200, 5, "milliseconds for one that is remembered")
      assert.strictEqual((yield* timed(users.proveToken("alice@pbs", secret))).exit._tag, "Failure")
      yield* UserRecords.putUser(folder, alice, { isEnabled: false })
      assert.strictEqual((yield* Effect.flip(prove)).status, 401)
      yield* UserRecords.putUser(folder, alice, { isEnabled: true, expiresAtSeconds: 100 })
      assert.strictEqual(yield* prove, laptop)
      yield* TestClock.adjust("100 seconds")
      assert.strictEqual((yield* Effect.flip(prove)).status, 401)
      yield* UserRecords.putUser(folder, alice, { expiresAtSeconds: 0 })
      const other = yield* UserRecords.putToken(folder, laptop)
      assert.strictEqual((yield* timed(prove)).exit._tag, "Failure")
      assert.strictEqual(yield* users.proveToken("alice@pbs!laptop", other), laptop)
      yield* UserRecords.remove(folder, alice)
      assert.strictEqual((yield* timed(users.proveToken("alice@pbs!laptop", other))).exit._tag, "Failure")
    })
  )

  inFolder("are guessed slowly, one after the other, while who is known is not held up", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice)
      const secret = yield* UserRecords.putToken(folder, laptop)
      const users = yield* Users.make(folder)
      yield* users.proveToken("alice@pbs!laptop", secret)
      const guess = (text: string) => users.proveToken("alice@pbs!laptop", text)
      const guesses = yield* Effect.forkChild(
        timed(Effect.forEach(["a", "b", "c"], (text) => Effect.exit(guess(text)), { concurrency: 3 }))
      )
      yield* turn
      const known = yield* timed(guess(secret))
      assert.strictEqual(known.exit._tag, "Success")
      assert.isBelow(known.millis, 1000)
      const { millis } = yield* Fiber.join(guesses)
      assert.isAtLeast(millis, 9000)
      const nobody = yield* timed(users.proveToken("mallory@pbs!x", "a"))
      assert.strictEqual(nobody.exit._tag, "Failure")
      assert.isAtLeast(nobody.millis, 3000)
    })
  )

  inFolder("are nobody when the file cannot be understood", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice, { password: "one" })
      const users = yield* Users.make(folder)
      yield* users.logIn("alice@pbs", "one")
      const file = path.join(folder, "users.cfg")
      const text = readFileSync(file, "utf8")
      writeFileSync(file, `${text}\nacl: alice@pbs /datastore\n\trole Emperor\n`)
      assert.strictEqual((yield* Effect.flip(users.logIn("alice@pbs", "one"))).status, 401)
      assert.strictEqual((yield* Effect.flip(users.acl)).status, 401)
    })
  )
})

describe("Secrets", () => {
  it.live("match what was kept, and refuse costs that nobody asked for", () =>
    Effect.gen(function* () {
      const kept = yield* Secrets.keep("päss")
      assert.isTrue(yield* Secrets.matches("päss", kept))
      assert.isFalse(yield* Secrets.matches("pass", kept))
      assert.isFalse(yield* Secrets.matches("", undefined))
      assert.isFalse(Secrets.isKept(kept.replace("$14$", "$40$")))
      assert.isFalse(Secrets.isKept("secret"))
    })
  )
})

describe("Credentials", () => {
  inFolder("are a token, or a cookie with the token against other sites", (folder) =>
    Effect.gen(function* () {
      yield* UserRecords.putUser(folder, alice, { password: "one" })
      const secret = yield* UserRecords.putToken(folder, laptop)
      const service = yield* Users.make(folder)
      const who = (method: string, headers: Record<string, string>) =>
        Credentials.authenticate(method, headers).pipe(Effect.provideService(Users.Users, service))
      const encoded = secret.replaceAll("-", "%2D")
      for (const sign of [" ", "="]) {
        const authorization = `PBSAPIToken${sign}alice@pbs!laptop:${encoded}`
        assert.strictEqual(yield* who("POST", { authorization }), laptop)
      }
      const { csrfToken, ticket } = yield* service.logIn("alice@pbs", "one")
      for (const name of ["PBSAuthCookie", "__Host-PBSAuthCookie"]) {
        const cookie = `other=1; ${name}=${ticket}`
        assert.strictEqual(yield* who("GET", { cookie }), alice)
        assert.strictEqual((yield* Effect.flip(who("POST", { cookie }))).status, 401)
        assert.strictEqual(yield* who("POST", { cookie, csrfpreventiontoken: csrfToken }), alice)
      }
      for (const authorization of ["", "Basic YTpi", "PBSAPIToken alice@pbs!laptop", "PBSAPIToken a:%zz"]) {
        assert.strictEqual((yield* Effect.flip(who("GET", { authorization }))).status, 401)
      }
    })
  )
})
