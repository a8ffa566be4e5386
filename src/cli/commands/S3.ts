/** `granary s3 ...`: S3 servers by name, what they are worth, and which buckets they have. */
import * as Command from "effect/cli/Command"
import { help } from "../S3Flags.ts"
import { buckets } from "./S3Buckets.ts"
import { check } from "./S3Check.ts"
import { endpoint } from "./S3Endpoint.ts"

export const s3 = Command.make("s3").pipe(
  Command.withDescription(`S3 servers: name them, check them, list their buckets. ${help}`),
  Command.withShortDescription("S3 servers: name them, check them, list their buckets"),
  Command.withSubcommands([endpoint, check, buckets])
)
