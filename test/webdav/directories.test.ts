/** Directories over WebDAV: what they list, which properties, under which names; links; the page for browsers. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Xml from "effect/encoding/Xml"
import * as Stream from "effect/Stream"
import type { Vfs } from "../../src/vfs/Vfs.ts"
import { vfsError, type VfsReason } from "../../src/vfs/VfsError.ts"
import { type Asked, open, type Scene, withServer } from "./scene.ts"
import { file, folder, link, special } from "./smallTree.ts"

const elements = (document: string): Promise<ReadonlyArray<Xml.Element>> =>
  Effect.runPromise(
    Stream.make(document).pipe(
      Stream.pipeThroughChannel(Xml.decodeString()),
      Stream.pipeThroughChannel(Xml.elements(["D:multistatus", "D:response"])),
      Stream.runCollect
    )
  )

const childrenOf = (element: Xml.Element | undefined): ReadonlyArray<Xml.Element> =>
  element?.children.filter((child) => typeof child !== "string") ?? []

const child = (element: Xml.Element | undefined, name: string): Xml.Element | undefined =>
  childrenOf(element).find((other) => other.name === name)

const textOf = (element: Xml.Element | undefined): string =>
  element?.children.map((part) => (typeof part === "string" ? part : `<${part.name}>`)).join("") ?? "(none)"

interface Listed {
  readonly href: string
  /** Values by element name, by status. */
  readonly found: Readonly<Record<string, string>>
  readonly missing: ReadonlyArray<string>
}

const listedOf = (response: Xml.Element): Listed => {
  const propstats = childrenOf(response).filter(({ name }) => name === "D:propstat")
  const propertiesWith = (status: string) =>
    propstats
      .filter((propstat) => textOf(child(propstat, "D:status")) === status)
      .flatMap((propstat) => childrenOf(child(propstat, "D:prop")))
  return {
    href: textOf(child(response, "D:href")),
    found: Object.fromEntries(
      propertiesWith("HTTP/1.1 200 OK").map((property) => [property.name, textOf(property)])
    ),
    missing: propertiesWith("HTTP/1.1 404 Not Found").map(
      ({ attributes, name }) => `${attributes["xmlns:P"] ?? ""}${name}`
    )
  }
}

const propfind = async ({ ask }: Scene, path: string, { body, headers }: Asked = {}) => {
  const answer = await ask(path, {
    method: "PROPFIND",
    headers: { depth: "1", ...headers },
    ...(body === undefined ? {} : { body })
  })
  assert.strictEqual(answer.status, 207, answer.text)
  return (await elements(answer.text)).map(listedOf)
}

const hrefs = async (scene: Scene, path: string) => (await propfind(scene, path)).map(({ href }) => href)

const asking = (...names: ReadonlyArray<string>): string =>
  `<?xml version="1.0"?><a:propfind xmlns:a="DAV:" xmlns:x="urn:x"><a:prop>${names.map((name) => `<${name}/>`).join("")}</a:prop></a:propfind>`

const tree = folder({
  "a.txt": file("hello", { mode: 0o100755 }),
  docs: folder({ "deep.pdf": file("pdf"), more: folder({}) }),
  void: folder({})
})

describe("PROPFIND", () => {
  it.live("lists a directory and what is in it", () =>
    Effect.gen(function* () {
      const scene = yield* open(tree)
      const listed = yield* Effect.promise(() => propfind(scene, "/"))
      const etag = (yield* Effect.promise(() => scene.ask("/a.txt"))).headers["etag"]
      assert.deepStrictEqual(
        listed.map(({ href }) => href),
        ["/", "/a.txt", "/docs/", "/void/"]
      )
      assert.deepStrictEqual<unknown>(listed[1]?.found, {
        "D:resourcetype": "",
        "D:displayname": "a.txt",
        "D:getcontentlength": "5",
        "D:getlastmodified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "D:getetag": etag,
        "D:getcontenttype": "text/plain",
        "P:executable": "T"
      })
      assert.deepStrictEqual(listed[2]?.found, {
        "D:resourcetype": "<D:collection>",
        "D:displayname": "docs",
        "D:getlastmodified": "Tue, 14 Nov 2023 22:13:20 GMT"
      })
      assert.deepStrictEqual(
        listed.flatMap(({ missing }) => missing),
        []
      )
    })
  )

  withServer("keeps to the depth", tree, async (scene) => {
    const { ask } = scene
    const zero = await propfind(scene, "/docs", { headers: { depth: "0" } })
    assert.deepStrictEqual(
      zero.map(({ href }) => href),
      ["/docs/"]
    )
    assert.deepStrictEqual(await hrefs(scene, "/docs"), ["/docs/", "/docs/deep.pdf", "/docs/more/"])
    assert.deepStrictEqual(await hrefs(scene, "/a.txt"), ["/a.txt"])
    for (const headers of [{ depth: "infinity" }, {}]) {
      const refused = await ask("/", { method: "PROPFIND", headers })
      assert.strictEqual(refused.status, 403)
      assert.include(refused.text, "<D:propfind-finite-depth/>")
    }
    assert.strictEqual((await ask("/", { method: "PROPFIND", headers: { depth: "2" } })).status, 400)
    assert.strictEqual((await ask("/none", { method: "PROPFIND", headers: { depth: "0" } })).status, 404)
    assert.strictEqual((await ask("/a.txt/", { method: "PROPFIND", headers: { depth: "0" } })).status, 404)
  })

  withServer(
    "gives the properties that were asked for, and says which there are not",
    tree,
    async (scene) => {
      const body = asking("a:getcontentlength", "a:quota", "x:color", "plain")
      const [, aText, docs] = await propfind(scene, "/", { body })
      const unknown = ["D:quota", "urn:xP:color", "plain"]
      assert.deepStrictEqual(aText, {
        href: "/a.txt",
        found: { "D:getcontentlength": "5" },
        missing: unknown
      })
      assert.deepStrictEqual(docs, { href: "/docs/", found: {}, missing: ["D:getcontentlength", ...unknown] })
      const names = await propfind(scene, "/a.txt", { body: `<propfind xmlns="DAV:"><propname/></propfind>` })
      assert.isTrue(Object.values(names[0]?.found ?? {}).every((value) => value === ""))
      assert.lengthOf(Object.keys(names[0]?.found ?? {}), 7)
      const all = `<propfind xmlns="DAV:"><ext xmlns="urn:x"/><allprop/><include><x/></include></propfind>`
      assert.lengthOf(Object.keys((await propfind(scene, "/a.txt", { body: all }))[0]?.found ?? {}), 7)
      assert.deepStrictEqual((await propfind(scene, "/a.txt", { body: asking() }))[0]?.found, {})
    }
  )

  withServer("refuses what is no such request", tree, async ({ ask }) => {
    const bodies = [
      "no document",
      "<propfind",
      `<propfind xmlns="DAV:"/>`,
      `<propfind xmlns="urn:other"><prop/></propfind>`,
      `<propertyupdate xmlns="DAV:"><prop/></propertyupdate>`,
      `<D:propfind><D:prop/></D:propfind>`,
      `<D:propfind xmlns:D="DAV:"><D:prop><b:c xmlns:b=""/></D:prop></D:propfind>`,
      `<D:propfind xmlns:D="DAV:"><D:prop><D:a:b/></D:prop></D:propfind>`,
      `<!DOCTYPE a [<!ENTITY b "c">]><D:propfind xmlns:D="DAV:"><D:prop/></D:propfind>`,
      `<D:propfind xmlns:D="DAV:"><D:prop>${"<D:a>".repeat(50)}`,
      asking(...Array.from({ length: 257 }, (_, index) => `x:n${index}`)),
      Buffer.from([0xff, 0xfe, 0x00])
    ]
    for (const body of bodies) {
      const { status } = await ask("/", { method: "PROPFIND", headers: { depth: "0" }, body })
      assert.strictEqual(status, 400, String(body))
    }
    const large = asking("a:displayname") + " ".repeat(17 * 1024)
    const { status } = await ask("/", { method: "PROPFIND", headers: { depth: "0" }, body: large })
    assert.strictEqual(status, 413)
  })

  const many = Object.fromEntries(
    Array.from({ length: 5000 }, (_, index) => [`file ${index}`, file(`${index}`)])
  )
  withServer("lists thousands", folder(many), async (scene) => {
    const listed = await propfind(scene, "/")
    assert.lengthOf(listed, 5001)
    assert.strictEqual(listed[5000]?.href, "/file%204999")
  })
})

const strange = [
  `&<>"'`,
  "caf\xe9",
  "na\xc3\xafve",
  "a%2Fb",
  "new\nline",
  "\x01\x7f",
  "javascript:alert(1)",
  "#?;=+ ~",
  "...",
  "\\..\\"
]

describe("names", () => {
  const named = folder(Object.fromEntries(strange.map((name) => [name, folder({ [name]: file(name) })])))

  withServer("of any bytes come back as they are", named, async (scene) => {
    const directories = (await hrefs(scene, "/")).slice(1)
    assert.lengthOf(directories, strange.length)
    for (const [index, href] of directories.entries()) {
      const inside = (await hrefs(scene, href))[1] ?? ""
      assert.strictEqual(inside, `${href}${href.slice(1, -1)}`)
      const answer = await scene.ask(inside)
      assert.deepStrictEqual([answer.status, answer.text], [200, strange[index]])
    }
  })

  withServer("are shown to people with what XML can hold", named, async (scene) => {
    const shown = (await propfind(scene, "/")).slice(1).map(({ found }) => found["D:displayname"])
    assert.deepStrictEqual(shown.slice(0, 3), [`&<>"'`, "caf\uFFFD", "naïve"])
    assert.strictEqual(shown[5], "\uFFFD\x7f")
  })

  withServer("stay names in the page", named, async ({ ask }) => {
    const { headers, text } = await ask("/")
    assert.strictEqual(headers["content-type"], "text/html; charset=utf-8")
    assert.match(headers["content-security-policy"] ?? "", /^default-src 'none'/)
    assert.include(text, `<a href="./javascript%3Aalert%281%29/">javascript:alert(1)/</a>`)
    assert.include(text, `<a href="./%26%3C%3E%22%27/">&amp;&lt;&gt;&quot;&#39;/</a>`)
    assert.notInclude(text, `href="../"`)
    assert.include((await ask("/caf%E9/")).text, `<a href="../">`)
  })
})

describe("the page of a directory", () => {
  withServer("has its own place, where its links count from", tree, async ({ ask }) => {
    const moved = await ask("/docs")
    assert.deepStrictEqual([moved.status, moved.headers["location"]], [301, "/docs/"])
    assert.strictEqual((await ask("//docs")).headers["location"], "/docs/")
    const page = await ask("/docs/")
    assert.include(
      page.text,
      `<td><a href="./deep.pdf">deep.pdf</a></td><td>3</td><td>2023-11-14 22:13:20</td>`
    )
    assert.include(page.text, `<a href="./more/">more/</a>`)
    const head = await ask("/docs/", { method: "HEAD" })
    assert.deepStrictEqual([head.status, head.text], [200, ""])
  })
})

describe("links", () => {
  const target = folder({ file: file("found"), up: link(".."), "same.pxar": link("../target") })
  const linked = folder({
    target,
    other: folder({
      there: link("../target"),
      chain: link("there/file"),
      slashes: link(".//..//target/./file")
    }),
    absolute: link("/target/file"),
    above: link("../target/file"),
    loop: link("loop"),
    ping: link("pong"),
    pong: link("ping"),
    dangling: link("nothing"),
    through: link("target/file/x"),
    nul: link("target/fi\0le"),
    long: link(`${"./".repeat(3000)}target`),
    pipe: special("fifo"),
    topipe: link("pipe"),
    socket: special("socket"),
    tape: special("device-char"),
    disk: special("device-block")
  })

  withServer("inside of the tree are followed", linked, async ({ ask }) => {
    for (const path of ["/other/there/file", "/other/chain", "/other/slashes", "/target/up/target/file"]) {
      const { status, text } = await ask(path)
      assert.deepStrictEqual([status, text], [200, "found"], path)
    }
  })

  withServer("that lead nowhere or out of it are not there, nor what is no file", linked, async (scene) => {
    const names = linked.entries.map(([name]) => Buffer.from(name).toString("latin1"))
    for (const name of names.filter((name) => name !== "target" && name !== "other")) {
      for (const method of ["GET", "HEAD", "PROPFIND"]) {
        const { status } = await scene.ask(`/${name}`, { method, headers: { depth: "0" } })
        assert.strictEqual(status, 404, `${method} ${name}`)
      }
    }
    assert.deepStrictEqual(await hrefs(scene, "/"), ["/", "/target/", "/other/"])
    const page = (await scene.ask("/")).text
    assert.deepStrictEqual(page.match(/href="[^"]*"/g), [`href="./target/"`, `href="./other/"`])
  })

  withServer("back to where one came from are not listed, so every walk ends", linked, async (scene) => {
    assert.deepStrictEqual(await hrefs(scene, "/target/"), ["/target/", "/target/file"])
    const walk = async (path: string): Promise<ReadonlyArray<string>> => {
      const [, ...inside] = await hrefs(scene, path)
      const below = await Promise.all(inside.map((href) => (href.endsWith("/") ? walk(href) : [])))
      return [...inside, ...below.flat()]
    }
    const all = await walk("/")
    assert.include(all, "/other/there/file")
    assert.isBelow(all.length, 20)
  })
})

describe("a store that fails", () => {
  const tree = folder({ "a.txt": file("a"), link: link("a.txt") })
  const failing = (reason: VfsReason, part: "list" | "readLink") => (vfs: Vfs["Service"]) => ({
    ...vfs,
    [part]: () => Effect.fail(vfsError(reason, "host/a root.pxar", "cannot be read"))
  })
  const statusWith = (reason: VfsReason, part: "list" | "readLink") =>
    Effect.gen(function* () {
      const { ask, log } = yield* open(tree, {}, failing(reason, part))
      const { status, text } = yield* Effect.promise(() =>
        ask("/", { method: "PROPFIND", headers: { depth: "1" } })
      )
      return { status, text, log }
    })

  it.live("is not taken for an empty directory", () =>
    Effect.gen(function* () {
      for (const [reason, status] of [
        ["Damaged", 500],
        ["Unreachable", 503],
        ["KeyNeeded", 403],
        ["Gone", 404]
      ] as const) {
        const answer = yield* statusWith(reason, "list")
        assert.strictEqual(answer.status, status)
        assert.lengthOf(answer.log, status >= 500 ? 1 : 0)
      }
    })
  )

  it.live("leaves out a link that it has lost, and nothing that it cannot ask for now", () =>
    Effect.gen(function* () {
      const damaged = yield* statusWith("Damaged", "readLink")
      assert.deepStrictEqual(damaged.text.match(/<D:href>[^<]*/g), ["<D:href>/", "<D:href>/a.txt"])
      assert.strictEqual((yield* statusWith("Unreachable", "readLink")).status, 503)
    })
  )
})
