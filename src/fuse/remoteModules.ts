/** What opening a datastore on a server needs, as one module: it is loaded late, for most mounts do without. */
export * as Remote from "../remote/Remote.ts"
export * as RemoteReading from "../remote/RemoteReading.ts"
