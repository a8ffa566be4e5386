/**
 * The root command: the flags that every command shares, and what they mean.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as RemoteFlags from "./RemoteFlags.ts"
import * as S3Flags from "./S3Flags.ts"

const optionalWithEnvironment = (flag: Flag.Flag<string>, variable: string) =>
  flag.pipe(Flag.withFallbackConfig(Config.String(variable)), Flag.optional)

export const root = Command.make("granary").pipe(
  Command.withSharedFlags({
    repository: optionalWithEnvironment(
      Flag.String("repository").pipe(
        Flag.withAlias("r"),
        Flag.withDescription(
          "The datastore: a folder, a configured name, s3:ENDPOINT-ID/BUCKET/STORE, or USER@REALM!TOKEN@HOST:STORE " +
            "(or set GRANARY_REPOSITORY)"
        ),
        Flag.withMetavar("REPO")
      ),
      "GRANARY_REPOSITORY"
    ),
    ns: Flag.String("ns").pipe(
      Flag.withDescription("Namespace inside the datastore, such as team/dev"),
      Flag.withMetavar("NAMESPACE"),
      Flag.withDefault("")
    ),
    keyfile: optionalWithEnvironment(
      Flag.String("keyfile").pipe(
        Flag.withDescription("Key for encrypted backups (or set GRANARY_KEYFILE)"),
        Flag.withMetavar("FILE")
      ),
      "GRANARY_KEYFILE"
    ),
    passphraseFile: Flag.String("passphrase-file").pipe(
      Flag.withDescription("File whose first line is the key's passphrase (or set GRANARY_KEY_PASSPHRASE)"),
      Flag.withMetavar("FILE"),
      Flag.optional
    ),
    cache: optionalWithEnvironment(
      Flag.String("cache").pipe(
        Flag.withDescription("Cache folder of a datastore in a bucket (or set GRANARY_CACHE)"),
        Flag.withMetavar("DIR")
      ),
      "GRANARY_CACHE"
    ),
    configDir: optionalWithEnvironment(
      Flag.String("config-dir").pipe(
        Flag.withDescription("Folder with the configuration (or set GRANARY_CONFIG_DIR)"),
        Flag.withMetavar("DIR")
      ),
      "GRANARY_CONFIG_DIR"
    ),
    ...RemoteFlags.flags,
    ...S3Flags.flags,
    output: Flag.Literals("output", ["text", "json"]).pipe(
      Flag.withDescription("Text for people or JSON for programs"),
      Flag.withDefault("text")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withAlias("y"),
      Flag.withDescription("Answer questions with yes"),
      Flag.withDefault(false)
    )
  }),
  Command.withDescription("Deduplicating backups in datastores compatible with Proxmox Backup Server")
)
