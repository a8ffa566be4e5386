/** `granary cat SNAPSHOT ARCHIVE [PATH]`: a file, an image or a blob, byte by byte on standard output. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as ArchiveReader from "../../restore/ArchiveReader.ts"
import * as ArchiveTree from "../../restore/ArchiveTree.ts"
import * as PxarParts from "../../restore/browse/PxarParts.ts"
import type { PieceStream } from "../../restore/PieceStream.ts"
import type { SnapshotReader } from "../../restore/SnapshotReader.ts"
import { UsageError } from "../Failure.ts"
import { writeStandardOutput } from "../Output.ts"
import * as PathText from "../PathText.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  snapshot: SnapshotArgument.argument("snapshot"),
  archive: Argument.String("archive").pipe(
    Argument.withDescription("The archive, such as root.pxar, disk.img or vm.conf")
  ),
  path: Argument.String("path").pipe(
    Argument.withDescription("A file in a file archive (base64:... for names that are not UTF-8)"),
    Argument.optional
  )
}

/** Writes piece by piece: a slow reader of the output slows the reading down. */
const writePieces = <E>(pieces: PieceStream<E>) =>
  Effect.gen(function* () {
    for (let piece = yield* pieces.next; piece !== undefined; piece = yield* pieces.next) {
      yield* writeStandardOutput(piece)
    }
  })

const catFile = (reader: SnapshotReader, archive: string, path: string) =>
  Effect.gen(function* () {
    const tree = yield* ArchiveTree.open(reader, archive)
    const file = yield* tree.locate(yield* tree.lookup(yield* PathText.parse(path)))
    yield* writePieces(yield* file.pieces)
  })

/** The name of a split archive means two streams, of which neither is the archive. */
const refuseSplit = (reader: SnapshotReader, archive: string) =>
  Effect.gen(function* () {
    const split = PxarParts.all(reader.manifest).find(
      ({ name, payload }) => name === archive && payload !== undefined
    )
    const isStored = reader.manifest.files.some(
      ({ filename }) => ArchiveName.fromFile(filename).client === archive
    )
    if (split === undefined || isStored) return
    const stem = archive.slice(0, -".pxar".length)
    return yield* new UsageError({
      detail: `${archive} is split into ${stem}.mpxar and ${stem}.ppxar`,
      hint: "name one of them, or a path in the archive"
    })
  })

const catArchive = (reader: SnapshotReader, archive: string) =>
  Effect.gen(function* () {
    yield* refuseSplit(reader, archive)
    const file = yield* reader.find(archive)
    if (ArchiveName.fromFile(file.filename).kind === "blob") {
      return yield* writeStandardOutput(yield* reader.blob(file))
    }
    const index = yield* reader.index(file)
    const content = yield* ArchiveReader.make(reader.datastore.chunks, index, reader.crypt)
    yield* writePieces(yield* content.pieces())
  })

export const cat = Command.make("cat", flags, ({ snapshot, archive, path }) =>
  withDatastore(
    Effect.scoped(
      Effect.gen(function* () {
        const reader = yield* SnapshotArgument.open(snapshot)
        yield* Option.match(path, {
          onNone: () => catArchive(reader, archive),
          onSome: (inside) => catFile(reader, archive, inside)
        })
      })
    )
  )
).pipe(
  Command.withDescription("Write a file, an image or a blob to standard output"),
  Command.withExamples([
    { command: "granary cat host/laptop root.pxar /etc/fstab", description: "A file of the newest snapshot" },
    { command: "granary cat vm/100 drive-scsi0.img > disk.raw", description: "A whole image" }
  ])
)
