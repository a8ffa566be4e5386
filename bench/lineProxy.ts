/**
 * A process of its own that stands before a server on this machine as a long line would: what one end sends reaches the
 * other half a round trip later, and no faster than the line carries it. All connections share the line, each direction
 * by itself. A connection takes a round trip to come about. Nothing gets lost, and nothing has to start slowly.
 *
 * It prints its port and runs until its input ends.
 *
 * Run: node bench/lineProxy.ts PORT ROUND-TRIP-MILLISECONDS [MEGABITS-PER-SECOND]
 */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

const [port = "", roundTrip = "150", megabits] = process.argv.slice(2)
const roundTripMillis = Number(roundTrip)
const bytesPerMilli = megabits === undefined ? Number.POSITIVE_INFINITY : (Number(megabits) * 1e6) / 8 / 1000

/** What may wait where the line begins: more than goes in one direction at a time, so that it never runs dry. */
const waitingMillis = 100
/** What a connection may have under way, so that an end that takes nothing does not fill the memory. */
const underWayMaxBytes = 64 * 1024 * 1024
const pauseMillis = 5

/** One direction of the line, for all connections. */
interface Lane {
  /** Takes so many bytes and tells when the last of them is on its way. */
  readonly take: (sizeBytes: number, fromMillis: number) => number
  readonly waitingMillis: () => number
}

const makeLane = (): Lane => {
  let freeMillis = 0
  return {
    take: (sizeBytes, fromMillis) => {
      freeMillis = Math.max(freeMillis, fromMillis) + sizeBytes / bytesPerMilli
      return freeMillis
    },
    waitingMillis: () => freeMillis - performance.now()
  }
}

/** Bytes, or the end of them. */
interface Parcel {
  readonly bytes: Buffer | undefined
  readonly arrivesMillis: number
}

/** Carries what one socket receives to the other. */
const carry = (from: Socket, to: Socket, lane: Lane, openMillis: number): void => {
  const parcels: Array<Parcel> = []
  let underWayBytes = 0
  let isAwaited = false

  const deliver = (): void => {
    isAwaited = false
    for (;;) {
      const [next] = parcels
      if (next === undefined || to.destroyed) return
      const restMillis = next.arrivesMillis - performance.now()
      if (restMillis > 0 || to.writableNeedDrain) return expect(restMillis)
      parcels.shift()
      if (next.bytes === undefined) return void to.end()
      underWayBytes -= next.bytes.length
      to.write(next.bytes)
    }
  }
  const expect = (restMillis: number): void => {
    if (isAwaited) return
    isAwaited = true
    if (to.writableNeedDrain) to.once("drain", deliver)
    else setTimeout(deliver, Math.ceil(restMillis))
  }
  const send = (bytes: Buffer | undefined): void => {
    const sentMillis = lane.take(bytes?.length ?? 0, Math.max(performance.now(), openMillis))
    underWayBytes += bytes?.length ?? 0
    parcels.push({ bytes, arrivesMillis: sentMillis + roundTripMillis / 2 })
    expect(sentMillis + roundTripMillis / 2 - performance.now())
  }
  const holdBack = (): void => {
    if (from.destroyed) return
    if (lane.waitingMillis() <= waitingMillis && underWayBytes <= underWayMaxBytes) return void from.resume()
    from.pause()
    setTimeout(holdBack, pauseMillis)
  }
  from.on("data", (bytes: Buffer) => {
    send(bytes)
    holdBack()
  })
  from.on("end", () => send(undefined))
}

const [toServer, toClient] = [makeLane(), makeLane()]

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const openMillis = performance.now() + roundTripMillis
  const far = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
  for (const [one, other] of [
    [near, far],
    [far, near]
  ] as const) {
    one.on("error", () => undefined)
    one.on("close", () => setTimeout(() => other.destroy(), roundTripMillis))
  }
  carry(near, far, toServer, openMillis)
  carry(far, near, toClient, openMillis)
})
server.listen(0, "127.0.0.1")
await once(server, "listening")
console.log((server.address() as AddressInfo).port)
process.stdin.resume()
await once(process.stdin, "end")
process.exit(0)
