/**
 * Random reads, seeks and listings on a real mount against the files that were backed up, as a model
 * (`randomLooks.ts`). A few seconds of it; with `GRANARY_EXPLORE=full` twenty seeds, which takes some minutes.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import { makeNoise, makeRandom } from "../../bench/SeededData.ts"
import { isInstalled } from "../e2e/everyKind.ts"
import { noMounts } from "./MountScene.ts"
import { openStoreMounts, type StoreMounts } from "./StoreMounts.ts"

const MiB = 1024 * 1024

const isFull = process.env["GRANARY_EXPLORE"] === "full"
const seeds = isFull ? Array.from({ length: 20 }, (_, index) => 32_000 + index) : [32_001]
const looks = isFull ? 5000 : 1500

const fill = makeNoise("random looks")

const noise = (sizeBytes: number): Buffer => {
  const bytes = Buffer.alloc(sizeBytes)
  fill(bytes)
  return bytes
}

/** Small and large files, deep and wide directories, links of both kinds. */
const makeTree = (folder: string): void => {
  const random = makeRandom(7)
  for (const below of ["", "a", "a/b", "a/b/c", "d"]) {
    mkdirSync(path.join(folder, below), { recursive: true })
    for (let number = 0; number < 25; number++) {
      writeFileSync(path.join(folder, below, `file-${number}`), noise(Math.floor(random() ** 6 * 2 * MiB)))
    }
  }
  mkdirSync(path.join(folder, "wide"))
  for (let number = 0; number < 1500; number++) {
    writeFileSync(path.join(folder, "wide", `${"n".repeat(number % 200)}-${number}`), String(number))
  }
  mkdirSync(path.join(folder, "empty"))
  writeFileSync(path.join(folder, "large"), noise(17 * MiB + 3))
  linkSync(path.join(folder, "large"), path.join(folder, "a/second name"))
  symlinkSync("../large", path.join(folder, "a/link"))
  if (isInstalled("setfattr")) {
    execFileSync("setfattr", ["-n", "user.note", "-v", "of a file", path.join(folder, "a/file-1")])
  }
}

/** Of 15 chunks, some of them empty, the last one shorter. */
const makeImage = (file: string): void => {
  const descriptor = openSync(file, "wx")
  for (const chunk of [1, 2, 5, 9, 13]) writeSync(descriptor, noise(MiB), 0, MiB, (4 * chunk + 1) * MiB)
  closeSync(descriptor)
  truncateSync(file, 58 * MiB + 11)
}

describe.skipIf(noMounts !== undefined)(
  `random looks at a mount${noMounts === undefined ? "" : ` (${noMounts})`}`,
  () => {
    let on: StoreMounts
    let [source, image, point] = ["", "", ""]

    beforeAll(async () => {
      if (noMounts !== undefined) return
      on = await openStoreMounts()
      source = on.mounts.directory("source")
      image = path.join(on.mounts.folder, "disk.raw")
      makeTree(source)
      makeImage(image)
      const images = `disk.img:${image}`
      on.backup("single", `root.pxar:${source}`, images)
      on.backup("split", "--change-detection", "data", `root.pxar:${source}`, images)
      point = on.mounts.directory("point")
      on.mount(point)
    })

    afterAll(() => on?.close())

    it.each(["single", "split"])(
      "find what was backed up, in an archive that is stored %s",
      (id) => {
        const program = path.join(import.meta.dirname, "randomLooks.ts")
        const node = [process.execPath, "--conditions=development", "--disable-warning=ExperimentalWarning"]
        const shown = `${point}/host/${id}/latest`
        for (const seed of seeds) {
          const places = [source, `${shown}/root.pxar`, image, `${shown}/disk.img`]
          const { code, error, out } = on.mounts.run(...node, program, String(seed), String(looks), ...places)
          assert.strictEqual(out.trim(), "same", error)
          assert.strictEqual(code, 0)
        }
      },
      isFull ? 3_600_000 : undefined
    )
  }
)
