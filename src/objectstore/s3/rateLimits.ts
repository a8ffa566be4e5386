/** rateLimits: the limits that an endpoint's settings ask for, as the decorator `rateLimited` takes them. */
import type { Rate, RateLimits } from "../decorators/rateLimited.ts"
import type { S3Settings } from "./S3Settings.ts"

const rate = (perSecond: number, burst?: number): Rate => ({
  perSecond,
  ...(burst === undefined ? {} : { burst })
})

/** Undefined when nothing is limited. */
export const rateLimits = (settings: S3Settings): RateLimits | undefined => {
  const { putsPerSecond, rateInBytesPerSecond, rateOutBytesPerSecond } = settings
  const limits: RateLimits = {
    ...(putsPerSecond === undefined ? {} : { puts: rate(putsPerSecond) }),
    ...(rateInBytesPerSecond === undefined
      ? {}
      : { bytesIn: rate(rateInBytesPerSecond, settings.burstInBytes) }),
    ...(rateOutBytesPerSecond === undefined
      ? {}
      : { bytesOut: rate(rateOutBytesPerSecond, settings.burstOutBytes) })
  }
  return Object.keys(limits).length === 0 ? undefined : limits
}
