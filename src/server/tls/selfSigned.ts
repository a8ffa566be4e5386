/**
 * selfSigned: a certificate that a server makes for itself: X.509 version 3, ECDSA on P-256, signed by its own key.
 *
 * One form with one kind of key: what varies is the serial number, the names and the time. Clients know such a server
 * by the certificate's fingerprint, as they know a Proxmox Backup Server; no authority is asked. Written out here,
 * because it is a page of DER, and Node can sign but not make certificates.
 */
import { generateKeyPairSync, sign } from "node:crypto"
import * as net from "node:net"

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87
} as const

const lengthOf = (count: number): Buffer => {
  if (count < 0x80) return Buffer.from([count])
  const digits = Buffer.from(count.toString(16).padStart(count > 0xff ? 4 : 2, "0"), "hex")
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits])
}

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>): Buffer => der(tags.sequence, ...parts)

/** Positive: the first bit is the sign. */
const integer = (bytes: Uint8Array): Buffer =>
  der(tags.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)

const bitString = (bytes: Uint8Array): Buffer => der(tags.bitString, Buffer.from([0]), bytes)

/** Encoded, because none of them ever changes. */
const objectId = (hex: string): Buffer => der(tags.objectId, Buffer.from(hex, "hex"))

const ecdsaWithSha256 = sequence(objectId("2a8648ce3d040302"))
const commonName = objectId("550403")
const extensionIds = {
  basicConstraints: objectId("551d13"),
  keyUsage: objectId("551d0f"),
  extendedKeyUsage: objectId("551d25"),
  subjectAltName: objectId("551d11")
}
const serverAuthentication = objectId("2b06010505070301")

const nameOf = (text: string): Buffer =>
  sequence(der(tags.set, sequence(commonName, der(tags.utf8, Buffer.from(text)))))

const secondsPerDay = 86_400

/** `20260131235959Z`. */
const timeOf = (isoText: string): Buffer =>
  der(tags.generalizedTime, Buffer.from(isoText.replaceAll(/[-:T]/g, "")))

const ipBytes = (address: string): Uint8Array => {
  if (net.isIPv4(address)) return Uint8Array.from(address.split(".").map(Number))
  const [head = "", tail] = address.split("::")
  const groups = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split(":"))
  const [left, right] = [groups(head), groups(tail ?? "")]
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right]
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex")
}

const alternativeName = (name: string): Buffer =>
  net.isIP(name) === 0 ? der(tags.dnsName, Buffer.from(name)) : der(tags.ipAddress, ipBytes(name))

const yes = der(tags.boolean, Buffer.from([0xff]))

const extensionsFor = (names: ReadonlyArray<string>): Buffer => {
  const critical = (id: Buffer, value: Buffer) => sequence(id, yes, der(tags.octetString, value))
  const plain = (id: Buffer, value: Buffer) => sequence(id, der(tags.octetString, value))
  return der(
    tags.extensions,
    sequence(
      critical(extensionIds.basicConstraints, sequence()),
      // digitalSignature
      critical(extensionIds.keyUsage, der(tags.bitString, Buffer.from([7, 0x80]))),
      plain(extensionIds.extendedKeyUsage, sequence(serverAuthentication)),
      plain(extensionIds.subjectAltName, sequence(...names.map(alternativeName)))
    )
  )
}

export interface CertificateOptions {
  /** DNS names and addresses; the first is its common name. */
  readonly names: readonly [string, ...ReadonlyArray<string>]
  /** Sixteen random bytes. */
  readonly serial: Uint8Array
  /** `YYYY-MM-DDThh:mm:ssZ`. */
  readonly validFrom: string
  readonly validTo: string
}

export interface MadeCertificate {
  readonly certificatePem: string
  readonly keyPem: string
}

const pemOf = (label: string, bytes: Uint8Array): string => {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n")
}

/** As long as any that Proxmox Backup Server makes: a new one would have to be told to every client. */
export const lifeSeconds = 3650 * secondsPerDay

/** Makes a key and its certificate. */
export const make = ({ names, serial, validFrom, validTo }: CertificateOptions): MadeCertificate => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const name = nameOf(names[0].slice(0, 64))
  // The first bit would be the sign, and the first byte must not be zero.
  const serialBytes = Buffer.from(serial)
  serialBytes[0] = ((serialBytes[0] ?? 0) & 0x7f) | 0x40
  const body = sequence(
    der(tags.version, der(tags.integer, Buffer.from([2]))),
    integer(serialBytes),
    ecdsaWithSha256,
    name,
    sequence(timeOf(validFrom), timeOf(validTo)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    extensionsFor(names)
  )
  const signature = sign("sha256", body, { key: privateKey, dsaEncoding: "der" })
  return {
    certificatePem: pemOf("CERTIFICATE", sequence(body, ecdsaWithSha256, bitString(signature))),
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}
