/** OpenOptions: what a command needs of the datastore that it opens. */
export interface OpenOptions {
  /** A command that changes the store needs the cache folder of one in a bucket; the others do without. */
  readonly writes?: boolean
  /** Whether a store in a bucket keeps the content of chunks in its cache folder. Default `use`. */
  readonly cache?: "use" | "bypass"
  /** Works on the chunks themselves, which only the machine that holds the store can do. */
  readonly needsChunks?: string
  /** For a plan: neither the folder nor the bucket can be changed. */
  readonly plans?: boolean
}
