import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync, readdirSync } from "node:fs"
import * as NodeFiles from "./src/platform/NodeFiles.ts"
import * as NodeFileLocks from "./src/platform/NodeFileLocks.ts"
import * as StoreBucket from "./src/store/bucket/StoreBucket.ts"
import * as Hosts from "./src/store/bucket/Hosts.ts"
import * as FolderMark from "./src/store/bucket/FolderMark.ts"
import * as DigestGuards from "./src/store/DigestGuards.ts"
import * as StoreLayout from "./src/store/StoreLayout.ts"
import * as Refresh from "./src/refresh/Refresh.ts"
import * as RefreshPlan from "./src/refresh/RefreshPlan.ts"
import { MemoryBucket } from "./src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "./src/testing/MemoryObjectStore.ts"
const dir = mkdtempSync("/tmp/s/hosts/x-")
const memory = new MemoryBucket()
const snapshots = 1500
for (let g = 0; g < 10; g++) {
  memory.put(`store/.cnt/host/g${g}/owner`, Buffer.from("root@pam\n"), 0)
  for (let i = 0; i < snapshots / 10; i++) {
    const t = new Date(1.7e12 + i * 3600e3).toISOString().slice(0, 19) + "Z"
    for (const n of ["index.json.blob", "a.pxar.didx", "catalog.pcat1.didx", "x.conf.blob"])
      memory.put(`store/.cnt/host/g${g}/${t}/${n}`, Buffer.alloc(n.includes("didx") ? 50_000 : 700), 0)
  }
}
const platform = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)
const timed = <A, E, R>(name: string, e: Effect.Effect<A, E, R>) => Effect.gen(function* () {
  const t = performance.now(); const r = yield* e; console.log(name, ((performance.now() - t) / 1000).toFixed(2), "s"); return r })
await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  const layout = yield* timed("create", StoreLayout.create(`${dir}/store`))
  const bucket = StoreBucket.make({ objects: MemoryObjectStore.make(memory), name: "store" })
  yield* FolderMark.claim(layout, bucket, "ready")
  const hosts = yield* Hosts.make(layout, bucket, yield* DigestGuards.make(layout))
  yield* timed("writing, markers checked", Effect.scoped(hosts.writing("a-0")))
  yield* timed("writing, generation known", Effect.scoped(hosts.writing("a-1")))
  const plan = yield* timed("plan", RefreshPlan.make({ path: layout.base, bucket }))
  const done = yield* timed("refresh", Refresh.run(plan))
  console.log(plan.objects, plan.bytes, plan.requests, done.fetched)
})).pipe(Effect.provide(platform)))
console.log(readdirSync(`${dir}/store`))
rmSync(dir, { recursive: true })
