/** What a store with a configured name needs, as one module: it is loaded late, for most mounts do without. */
export * as Reading from "../datastores/Reading.ts"
