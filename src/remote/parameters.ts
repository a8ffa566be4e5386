/** parameters: of calls to a server, as Proxmox Backup Server takes them. */

export type Parameter = string | number | boolean | ReadonlyArray<string> | undefined

/** What is undefined is left out; a list is its name once for each of its texts. */
export type Parameters = Readonly<Record<string, Parameter>>

/** A path with the parameters as its query. */
export const withQuery = (path: string, parameters: Parameters): string => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue
    for (const text of Array.isArray(value) ? value : [value]) query.append(name, String(text))
  }
  const text = query.toString()
  return text === "" ? path : `${path}?${text}`
}

export const formType = "application/x-www-form-urlencoded"
export const jsonType = "application/json"
export const bytesType = "application/octet-stream"
