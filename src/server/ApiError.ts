/**
 * ApiError: an answer that is no success, as Proxmox Backup Server gives it: a status, mostly 400, and one text that
 * the client shows as it is. So the text names the thing and never a secret.
 */
import * as Data from "effect/Data"

export class ApiError extends Data.TaggedError("ApiError")<{
  readonly status: number
  readonly message: string
  /** Held back until this long after the request began: guesses are to be slow. */
  readonly delayMillis?: number
  /** Single parameters that are wrong. */
  readonly parameters?: Readonly<Record<string, string>>
}> {}

export const badRequest = (message: string): ApiError => new ApiError({ status: 400, message })

export const notFound = (message: string): ApiError => new ApiError({ status: 404, message })

export const noSuchPath = (path: string): ApiError => notFound(`Path '${path}' not found.`)

const unauthorizedDelayMillis = 3000
const forbiddenDelayMillis = 500

export const unauthorized = (message: string): ApiError =>
  new ApiError({ status: 401, message, delayMillis: unauthorizedDelayMillis })

export const forbidden = (message = "permission check failed."): ApiError =>
  new ApiError({ status: 403, message, delayMillis: forbiddenDelayMillis })
