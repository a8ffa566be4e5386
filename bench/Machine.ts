/**
 * Machine: the facts about the machine that a reader needs to make sense of figures. No names of hosts, users
 * or folders.
 */
import { execFileSync } from "node:child_process"
import * as os from "node:os"

const typeOfFileSystem = (folder: string): string => {
  try {
    return execFileSync("findmnt", ["-no", "FSTYPE", "-T", folder], { encoding: "utf8" }).trim()
  } catch {
    return "unknown"
  }
}

/** Lines of a list, `workFolder` being where the data lies. */
export const describe = (workFolder: string): ReadonlyArray<string> => {
  const processors = os.cpus()
  return [
    `${processors.length} cores (${processors[0]?.model.trim() ?? "unknown"})`,
    `${(os.totalmem() / 1024 ** 3).toFixed(1)} GiB of memory`,
    `${os.type()} ${os.release()}, ${os.arch()}`,
    `file system ${typeOfFileSystem(workFolder)}, data and repositories on the same one`,
    `Node ${process.versions.node}`
  ]
}
