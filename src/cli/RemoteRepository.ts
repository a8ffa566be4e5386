/** RemoteRepository: opens a datastore on a server, for one command. */
import * as Effect from "effect/Effect"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import * as RemoteReading from "../remote/RemoteReading.ts"
import { UsageError } from "./Failure.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import * as RemoteConnection from "./RemoteConnection.ts"
import type { RemotePlace } from "./RepositoryName.ts"

const notThere = (place: RemotePlace, what: string): UsageError =>
  new UsageError({
    detail: `${RemoteAddress.format(place.address)}: ${what} cannot be done over the network`,
    hint: "do it on the server itself"
  })

export const open = (place: RemotePlace, { needsChunks }: OpenOptions) =>
  needsChunks === undefined
    ? Effect.flatMap(RemoteConnection.openRemote(place.address), (remote) => RemoteReading.open(remote))
    : Effect.fail(notThere(place, needsChunks))
