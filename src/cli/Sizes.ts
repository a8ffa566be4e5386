/** Sizes: numbers of bytes as people type them, by the rules of S3 settings: `512KB` is 512,000, `4MiB` 4,194,304. */
import { refuse } from "../model/InvalidName.ts"
import { S3SettingsError } from "../objectstore/s3/S3SettingsError.ts"
import * as settingValues from "../objectstore/s3/settingValues.ts"

/** Throws `InvalidName`. */
export const parse = (text: string): number => {
  if (/^0+$/.test(text.trim())) return 0
  try {
    return settingValues.bytes("size", text.trim())
  } catch (error) {
    if (!(error instanceof S3SettingsError)) throw error
    return refuse("size", text, "bytes such as 4194304, 512MiB or 1.5GB")
  }
}
