/**
 * RemoteConfig: the servers that syncs go to and come from, by a name, in `remote.cfg`, as Proxmox Backup Server keeps
 * them: the password or token secret is there in base64.
 *
 * Invariant: what is written can be used: a host, an auth id, a secret. The secret is shown by nobody.
 */
import * as Effect from "effect/Effect"
import * as AuthId from "../model/AuthId.ts"
import { InvalidName } from "../model/InvalidName.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"
import * as Fields from "./Fields.ts"
import * as JobConfig from "./JobConfig.ts"
import * as Sections from "./Sections.ts"

const portMax = 65_535
const commentLengthMax = 128

const authId: Fields.Field<AuthId.AuthId> = {
  decode: (value) => {
    try {
      return AuthId.parse(value)
    } catch (error) {
      if (error instanceof InvalidName) return Fields.refuse("user@realm or user@realm!token", value)
      throw error
    }
  }
}

const host: Fields.Field<string> = {
  decode: (value) =>
    /^[A-Za-z0-9_.:-]{1,253}$/.test(value) ? value : Fields.refuse("the name or address of a host", value)
}

const base64: Fields.Field<string> = {
  decode: (value) =>
    /^[A-Za-z0-9+/]+={0,2}$/.test(value) ? Buffer.from(value, "base64").toString("utf8") : refuseSecret()
}

/** The text itself is not for messages. */
const refuseSecret = (): never => Fields.refuse("base64", "something else")

const fingerprint: Fields.Field<string> = {
  decode: (value) =>
    /^(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$/.test(value)
      ? value.toLowerCase()
      : Fields.refuse("32 pairs of hex digits with colons between them", value)
}

const fields = {
  comment: Fields.textUpTo(commentLengthMax),
  host,
  port: Fields.whole(1, portMax),
  "auth-id": authId,
  fingerprint,
  password: base64
}

export type RemoteFields = typeof fields

export type RemoteEntry = Sections.Entry<RemoteFields>

export const remote: Sections.Kind<RemoteFields> = {
  fileName: "remote.cfg",
  sectionType: "remote",
  what: "remote",
  fields,
  required: ["host", "auth-id", "password"],
  command: "granary remote"
}

/** The secret as the file has it. */
export const encodeSecret = (secret: string): string => Buffer.from(secret, "utf8").toString("base64")

type Failure = ConfigError | FilesError

export const create = (
  folder: string,
  id: string,
  texts: Sections.Texts<RemoteFields>
): Effect.Effect<void, Failure, Files | FileLocks> => Sections.create(remote, folder, id, texts)

/** Changes some settings; an empty text takes one away. */
export const update = (
  folder: string,
  id: string,
  texts: Sections.Texts<RemoteFields>
): Effect.Effect<void, Failure, Files | FileLocks> => Sections.update(remote, folder, id, texts)

/** Forgets a remote that no job needs. */
export const remove = (folder: string, id: string): Effect.Effect<void, Failure, Files | FileLocks> =>
  Effect.gen(function* () {
    const { entries } = yield* Sections.list(JobConfig.sync, folder)
    const user = entries.find(({ values }) => values.remote === id)
    if (user !== undefined) {
      const hint = `remove the job first: granary job sync remove ${user.id}`
      return yield* new ConfigError({ subject: id, detail: `sync job ${user.id} is with this remote`, hint })
    }
    yield* Sections.remove(remote, folder, id)
  })

export const get = (folder: string, id: string): Effect.Effect<RemoteEntry, Failure, Files> =>
  Sections.get(remote, folder, id)

export const list = (folder: string): Effect.Effect<ReadonlyArray<RemoteEntry>, Failure, Files> =>
  Effect.map(Sections.list(remote, folder), ({ entries }) => entries)

/** Everything but the secret. */
export const toJson = (entry: RemoteEntry): Readonly<Record<string, unknown>> => {
  const { password: _, ...shown } = Sections.toJson(remote, entry)
  return shown
}
