/** A datastore on a server, mounted by the program in a process of its own, over a line that breaks. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { buffer } from "node:stream/consumers"
import { backUp, connect } from "../remote/backups.ts"
import * as net from "../remote/net.ts"
import * as scene from "../server/scene.ts"
import { noMounts } from "./MountScene.ts"
import { openPrivateMounts, type PrivateMounts } from "./PrivateMounts.ts"

/** The server is in this process, so nothing may keep it waiting. */
const run = (mounts: PrivateMounts, ...command: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const child = mounts.start(...command)
    if (child.stdout === null || child.stderr === null) throw new Error("a child without output")
    const [out, error] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, "exit")])
    assert.strictEqual(child.exitCode, 0, error.toString())
    return out
  })

const opened = Effect.acquireRelease(Effect.promise(openPrivateMounts), (mounts) =>
  Effect.sync(() => mounts.close())
)

describe.skipIf(noMounts !== undefined)("a mount over the network", () => {
  it.live(
    "shows what is on the server, and goes on after the line was cut",
    () =>
      Effect.gen(function* () {
        const mounts = yield* opened
        const made = yield* scene.make
        const source = mounts.directory("source")
        const content = scene.content(3, 6_000_000)
        mkdirSync(path.join(source, "sub"))
        writeFileSync(path.join(source, "sub", "file"), content)
        const remote = yield* connect(made)
        yield* backUp(remote, source)
        const line = yield* net.line(made.port)
        const secret = path.join(mounts.folder, "secret")
        writeFileSync(secret, (made.admin["authorization"] ?? "").split(":").at(-1) ?? "", { mode: 0o600 })
        const repository = `${scene.adminId}@127.0.0.1:${line.port}:store1`
        const login = ["--password-file", secret, "--fingerprint", made.serving.fingerprint]
        const point = mounts.directory("point")
        yield* run(mounts, ...mounts.granary("-r", repository, ...login, "mount", point))
        const groups = (yield* run(mounts, "ls", `${point}/host`)).toString().trim()
        const file = `${point}/host/${groups}/latest/root.pxar/sub/file`
        const half = yield* run(mounts, "head", "-c", "3000000", file)
        assert.isTrue(half.equals(content.subarray(0, 3_000_000)))
        line.cut()
        assert.isTrue((yield* run(mounts, "cat", file)).equals(content))
        yield* run(mounts, ...mounts.granary("unmount", point))
        assert.deepStrictEqual(mounts.mounted(), [])
      }),
    60_000
  )
})
