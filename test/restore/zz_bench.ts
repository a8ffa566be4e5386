import { ArchiveBuilder, restore, bytesOf } from "./extract/support.ts"
import { rmSync } from "node:fs"
for (const version of [1,2] as const) {
  const b = new ArchiveBuilder(version)
  for (let d=0; d<400; d++) b.directory("d"+String(d).padStart(4,"0"), (x)=>{ for (let f=0; f<100; f++) x.file("f"+String(f).padStart(3,"0"), "x".repeat(200+f*20)) })
  const bytes = b.finish()
  for (let i=0;i<2;i++){
  const t = process.hrtime.bigint()
  const r = await restore(bytes, "/tmp/px5_bench_out", {pieceBytes: 4<<20})
  console.log(version, Number(process.hrtime.bigint()-t)/1e6|0, "ms", r.summary.files, r.warnings.length)
  rmSync("/tmp/px5_bench_out",{recursive:true})
  }
}
