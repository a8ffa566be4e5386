/**
 * RecentChunks: the records of chunks that one archive's reader came by lately, by their number in the index, so that
 * another look needs neither digest nor search. A record holds no memory once its chunk is gone.
 */
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { DecodedChunks } from "./DecodedChunks.ts"
import type { KeptChunk } from "./KeptChunks.ts"

const recentMax = 64

export class RecentChunks {
  readonly #decoded: DecodedChunks
  readonly #index: ChunkIndex
  readonly #crypt: CryptConfig | undefined
  readonly #numbers = new Int32Array(recentMax).fill(-1)
  readonly #chunks: Array<KeptChunk | undefined> = []

  constructor(decoded: DecodedChunks, index: ChunkIndex, crypt: CryptConfig | undefined) {
    this.#decoded = decoded
    this.#index = index
    this.#crypt = crypt
  }

  /** The chunk, if it is here and as long as the index says. */
  find(chunk: number): KeptChunk | undefined {
    const place = chunk % recentMax
    const recent = this.#numbers[place] === chunk ? this.#chunks[place] : undefined
    if (recent?.data !== undefined) return recent
    const index = this.#index
    const found = this.#decoded.find({ digest: index.digest(chunk), crypt: this.#crypt })
    if (found?.data?.length !== index.end(chunk) - index.start(chunk)) return undefined
    this.#numbers[place] = chunk
    this.#chunks[place] = found
    return found
  }
}
