/** ConfigFlag: the folder with the configuration: `--config-dir`, `GRANARY_CONFIG_DIR`, or the usual one of a user. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import { root } from "./Root.ts"

export const configFolder = Effect.flatMap(root, ({ configDir }) =>
  Option.match(configDir, {
    onNone: () => ConfigFolder.defaultPath,
    onSome: (folder) => Effect.succeed(path.resolve(folder))
  })
)
