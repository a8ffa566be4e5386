/**
 * s3Request: one request to the server as an effect. Each has its turn (never more at a time than there are
 * connections), its time, and an answer that is kept beside what the SDK makes of it.
 *
 * Invariant: when the effect ends, however it ends, the request is over: an interrupted one is aborted, and the effect
 * waits until the SDK has let go of the body.
 */
import type { $Command, S3ClientResolvedConfig } from "@aws-sdk/client-s3"
import type { ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type * as Semaphore from "effect/Semaphore"
import { ObjectStoreError } from "../ObjectStoreError.ts"
import type { S3Client } from "./s3Client.ts"
import { type Answer, failureOf, isForeign, type Subject } from "./s3Errors.ts"

export interface Sender {
  readonly client: S3Client["client"]
  readonly turns: Semaphore.Semaphore
}

/** Sends commands of one request; `answer` is that of the last one. */
export interface Exchange {
  readonly send: <I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: $Command<I, O, S3ClientResolvedConfig>
  ) => Promise<O>
  readonly answer: () => Answer | undefined
}

interface Wire {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
}

const isWire = (response: unknown): response is Wire =>
  typeof response === "object" && response !== null && "statusCode" in response && "headers" in response

const sentAtOf = (request: unknown): string | undefined => {
  if (typeof request !== "object" || request === null || !("headers" in request)) return undefined
  const { headers } = request as { readonly headers: Readonly<Record<string, string>> }
  return headers["x-amz-date"]
}

const exchange = (client: S3Client["client"], subject: Subject, abortSignal: AbortSignal): Exchange => {
  let answer: Answer | undefined
  return {
    answer: () => answer,
    send: async (command) => {
      answer = undefined
      command.middlewareStack.add(
        (next) => async (given) => {
          const output = await next(given)
          if (isWire(output.response)) {
            const { statusCode: status, headers } = output.response
            answer = { status, headers, sentAt: sentAtOf(given.request) }
          }
          return output
        },
        { step: "deserialize", priority: "low", name: "granaryAnswer" }
      )
      const output = await client.send(command, { abortSignal })
      if (answer !== undefined && isForeign(answer)) throw notS3(subject, answer)
      return output
    }
  }
}

/** The server's success makes no sense. */
export const notS3 = (subject: Subject, answer: Answer | undefined, detail?: string): ObjectStoreError =>
  new ObjectStoreError({
    ...subject,
    reason: "NotS3",
    ...(answer === undefined ? {} : { httpStatus: answer.status }),
    ...(detail === undefined ? {} : { detail })
  })

const settle = <A>(
  { client }: Sender,
  subject: Subject,
  perform: (exchange: Exchange) => Promise<A>
): Effect.Effect<A, ObjectStoreError> =>
  Effect.callback<A, ObjectStoreError>((resume) => {
    const controller = new AbortController()
    const running = exchange(client, subject, controller.signal)
    const done = perform(running).then(
      (value) => resume(Effect.succeed(value)),
      (error: unknown) => resume(Effect.fail(failureOf(subject, error, running.answer())))
    )
    return Effect.promise(() => {
      controller.abort()
      return done
    })
  })

/** `perform` sends one command or several, one after the other, and makes the result of their answers. */
export const request = <A>(
  sender: Sender,
  subject: Subject,
  timeoutSeconds: number,
  perform: (exchange: Exchange) => Promise<A>
): Effect.Effect<A, ObjectStoreError> =>
  settle(sender, subject, perform).pipe(
    Effect.timeoutOrElse({
      duration: timeoutSeconds * 1000,
      orElse: () =>
        Effect.fail(
          new ObjectStoreError({
            ...subject,
            reason: "Disconnected",
            detail: `not done within ${timeoutSeconds} seconds`
          })
        )
    }),
    sender.turns.withPermit
  )
