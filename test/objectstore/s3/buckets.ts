/** Buckets of servers that tests start, and the settings that lead to them. */
import * as S3Settings from "../../../src/objectstore/s3/S3Settings.ts"

export interface Place {
  readonly url: string
  readonly bucket: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
}

export const textsOf = (place: Place): S3Settings.SettingTexts => ({
  endpoint: place.url,
  bucket: place.bucket,
  region: place.region,
  "access-key": place.accessKey,
  "secret-key": place.secretKey,
  "path-style": "true"
})

export const settingsOf = (place: Place, more: S3Settings.SettingTexts = {}): S3Settings.S3Settings =>
  S3Settings.decode({ ...textsOf(place), ...more })

/** Where a server listens that checks nothing. */
export const placeAt = (port: number, more: S3Settings.SettingTexts = {}): S3Settings.S3Settings =>
  settingsOf(
    {
      url: `http://127.0.0.1:${port}`,
      bucket: "test-bucket",
      region: "us-west-1",
      accessKey: "access",
      secretKey: "secret"
    },
    more
  )
