/** DatastoreName: what a datastore may be called where its name is more than that of a folder: in a bucket. */
import { refuse } from "./InvalidName.ts"
import * as SafeId from "./SafeId.ts"

const lengthMin = 3
const lengthMax = 32

/** Proxmox Backup Server could not use a datastore with another name. Throws `InvalidName`. */
export const check = (text: string): string =>
  text.length >= lengthMin && text.length <= lengthMax
    ? SafeId.check("datastore name", text)
    : refuse("datastore name", text, `${lengthMin} to ${lengthMax} characters`)
