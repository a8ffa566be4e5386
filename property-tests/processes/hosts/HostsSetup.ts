/**
 * HostsSetup: what the stress test with two hosts needs before its first round: the program, a server, a datastore in
 * its bucket with two cache folders, a key, and things to back up.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Program } from "../Actor.ts"
import { bundleInto } from "../Setup.ts"
import * as Sources from "../Sources.ts"
import * as EndpointProcess from "./EndpointProcess.ts"

export interface Host {
  readonly program: Program
  /** Its cache folder. */
  readonly folder: string
}

export interface HostsSetup {
  readonly folder: string
  readonly endpoint: EndpointProcess.EndpointProcess
  readonly hosts: readonly [Host, Host]
  /** A machine without a cache folder: it sees the bucket, and nothing else. */
  readonly reader: Program
  readonly keyFile: string
  readonly sources: ReadonlyArray<Sources.Source>
}

export const storeName = "store"

/** Small enough that chunks are evicted. */
const cacheBound = "24MiB"

export const prepare = async (folder: string): Promise<HostsSetup> => {
  const place = (...names: ReadonlyArray<string>): string => path.join(folder, ...names)
  fs.mkdirSync(place("sources"), { recursive: true })
  const file = bundleInto(folder)
  const endpoint = await EndpointProcess.start()
  const { accessKey, bucket, region, secretKey, url } = endpoint.place
  const store = `s3:double/${bucket}/${storeName}`
  const configuration = ["--config-dir", place("config")]
  const programWith = (cache: string): Program => ({
    file,
    store,
    parameters: [...configuration, "--cache", place(cache)],
    mayWarn: true
  })
  const granary = (...parameters: ReadonlyArray<string>): void => {
    execFileSync(process.execPath, [file, ...parameters], { stdio: ["ignore", "ignore", "pipe"] })
  }
  const server = ["--endpoint", url, "--region", region, "--path-style"]
  const keys = ["--access-key", accessKey, "--secret-key", secretKey]
  granary("s3", "endpoint", "create", "double", ...server, ...keys, ...configuration)
  const init = ["init", "--backend", "s3", "-r", store, "--max-cache-size", cacheBound, ...configuration]
  granary(...init, place("first"))
  granary(...init, "--reuse", "--overwrite-in-use", place("second"))
  const keyFile = place("secret.key")
  granary("key", "create", keyFile, "--kdf", "none")
  const hostWith = (name: string): Host => ({ program: programWith(name), folder: place(name) })
  return {
    folder,
    endpoint,
    hosts: [hostWith("first"), hostWith("second")],
    reader: programWith("nowhere"),
    keyFile,
    sources: Sources.make(place("sources"), keyFile)
  }
}
