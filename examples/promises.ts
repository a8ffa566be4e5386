/** The Promise facade: everything without Effect. */
import { createDatastore } from "granary/promises"
import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises"
import * as path from "node:path"
const folder = await mkdtemp("/tmp/granary-example-")
await mkdir(folder+"/src"); await writeFile(folder+"/src/a.txt","hello")
{
  await using ds = await createDatastore(path.join(folder,"store"))
  console.time("b")
  const r = await ds.backup({"root.pxar": folder+"/src","app.conf": new TextEncoder().encode("x=1"), "disk.img": (async function*(){ for(let i=0;i<3;i++) yield new Uint8Array(3_000_000).fill(i)})()},{group:"host/a",onProgress:(e)=>{}})
  console.timeEnd("b")
  console.log(r)
  for await (const s of ds.snapshots()) console.log(s)
  for await (const s of ds.list("host/a","root.pxar")) console.log(s)
  for await (const s of ds.readFile("host/a","root.pxar","a.txt")) console.log(Buffer.from(s).toString())
  console.log(await ds.restore("host/a","root.pxar",folder+"/out"))
  console.log(await ds.verify())
  await ds.restore("host/a","nothing.pxar",folder+"/out").catch(e=>console.log(e))
  await ds.forget(r.snapshot)
}
await rm(folder,{recursive:true})
