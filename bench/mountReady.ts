/** How soon a store with very many snapshots is mounted, and how long its first lists take. */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { once, type Scale, sizes } from "./mountData.ts"
import type { Figure } from "./mountLocal.ts"
import { backupIds, mountGranary, type Places } from "./mountPeers.ts"
import { type Argv, run } from "./mountProcesses.ts"

const groupName = "many"
const firstSeconds = 1_600_000_000
const hourSeconds = 3600

/** A group whose snapshots hold a manifest each; the store itself is a copy without chunks. */
const fill = (places: Places, scale: Scale, folder: string): void => {
  mkdirSync(folder)
  for (const name of readdirSync(places.store)) {
    if (name === ".chunks") mkdirSync(path.join(folder, name))
    else cpSync(path.join(places.store, name), path.join(folder, name), { recursive: true })
  }
  const owner = path.join(places.store, "host", backupIds.granary, "owner")
  const group = path.join(folder, "host", groupName)
  mkdirSync(group)
  cpSync(owner, path.join(group, "owner"))
  for (let number = 0; number < sizes[scale].snapshots; number++) {
    const time = new Date((firstSeconds + number * hourSeconds) * 1000).toISOString()
    const snapshot = path.join(group, `${time.slice(0, 19)}Z`)
    mkdirSync(snapshot)
    writeFileSync(path.join(snapshot, "index.json.blob"), "")
  }
}

export const measureReady = async (
  granary: Argv,
  places: Places,
  scale: Scale,
  rounds: number
): Promise<ReadonlyArray<Figure>> => {
  const store = `${places.store}-of-many`
  await once(store, (folder) => fill(places, scale, folder))
  const figures: Array<Figure> = []
  for (let round = 0; round < rounds; round++) {
    const mounted = await mountGranary(granary, store, [], places.mountpoint)
    try {
      const list = await run(["ls", path.join(places.mountpoint, "host", groupName)])
      const { memoryPeakBytes } = mounted.usage()
      figures.push(
        { step: "ready", program: "granary", value: mounted.readySeconds, memoryPeakBytes },
        { step: "list of snapshots", program: "granary", value: list.wallSeconds, memoryPeakBytes }
      )
    } finally {
      await mounted.end()
    }
  }
  return figures
}
