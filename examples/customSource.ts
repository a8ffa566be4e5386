/**
 * Backs up bytes that come from anywhere: here a generated database dump, as a stream of lines that never
 * exists as a whole. In the second dump a row near the beginning has changed and grown; the chunks behind it
 * are known all the same.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as ByteSource from "granary/backup/ByteSource"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import { hash } from "node:crypto"
import { temporaryDatastore } from "./support/sandbox.ts"

const rowCount = 300_000

/** The dump of a table in which `name` stands in one of the rows. */
const dump = (name: string) =>
  Stream.range(1, rowCount).pipe(
    Stream.map(
      (id) => `INSERT INTO people VALUES (${id}, '${id === 1000 ? name : hash("sha1", `${id}`)}');\n`
    ),
    // A thousand rows at a time: a stream costs something for each of its elements.
    Stream.grouped(1000),
    Stream.map((rows) => rows.join("")),
    Stream.encodeText
  )

const backUp = (name: string) =>
  Effect.gen(function* () {
    const { statistics } = yield* Backup.run({
      namespace: Namespace.root,
      group: BackupGroup.make("host", "database"),
      owner: AuthId.parse("root@pam"),
      archives: [
        {
          kind: "stream",
          // A dynamic index: chunks are cut where the content says, so that rows which moved are still known.
          archive: ArchiveName.fromClient("people.sql.didx"),
          source: yield* ByteSource.fromStream(dump(name))
        }
      ]
    })
    yield* Console.log(`${statistics.sizeBytes} bytes dumped, ${statistics.newBytes} of them new`)
  }).pipe(Effect.scoped)

backUp("Ada").pipe(
  Effect.andThen(backUp("Grace, with a longer name")),
  Effect.provide(temporaryDatastore),
  NodeRuntime.runMain
)
