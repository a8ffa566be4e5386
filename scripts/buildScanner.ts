/**
 * Generates the WebAssembly scanner and writes it as base64 to `src/chunking/scannerModule.ts`. The modules,
 * one for shared and one for unshared memories, differ only in the memory they import. `npm run build:wasm`
 * runs it.
 *
 * The idea: numbering the bytes of a scan from 0, let P[i] be the xor of rotr(T[b_j], j) over all j up to i.
 * Because the window's 64 bytes are a multiple of the 32 rotations of a word, the hash of the window that
 * ends with byte i is rotl(P[i] ^ P[i - 64], i). So there is no chain of dependent rotations: one pass fills
 * a tile of prefixes with scalar loads from 32 tables, rotated in advance; a second one tests four positions
 * an instruction against rotated masks. It tests only the bits above the lowest two; a group of 32 positions
 * with a candidate is rolled over once more, exactly.
 */
import { writeFile } from "node:fs/promises"
import wabt from "wabt"
import { masksOffset, prefixesOffset, tablesOffset, tileSizeBytes } from "../src/chunking/scannerLayout.ts"

const groupSize = 32
const historyEnd = 64 * 4
const tileEnd = tileSizeBytes * 4

/** Address of the table word of byte `lane` (0 to 3) of `$word`. */
const tableIndex = (lane: number): string =>
  lane === 0
    ? "(i32.shl (i32.and (local.get $word) (i32.const 255)) (i32.const 2))"
    : `(i32.and (i32.shr_u (local.get $word) (i32.const ${lane * 8 - 2})) (i32.const 1020))`

const fourPrefixes = (first: number): string => {
  const prefix = (lane: number): string => `
      (i32.store offset=${prefixesOffset + (first + lane) * 4} (local.get $slot)
        (local.tee $prefix (i32.xor (local.get $prefix)
          (i32.load offset=${tablesOffset + (first + lane) * 1024} ${tableIndex(lane)}))))`
  const load = `(i32.load offset=${first} align=1 (local.get $position))`
  return `
      (local.set $word ${load})${[0, 1, 2, 3].map(prefix).join("")}`
}

/**
 * Prefixes of the bytes from `$position` on, a multiple of 32 of them, into the slots from `$slot` to `$end`.
 */
const fillPrefixes = `
  (func $fillPrefixes
    (param $position i32) (param $slot i32) (param $end i32) (param $prefix i32) (result i32)
    (local $word i32)
    (loop $group ${[0, 4, 8, 12, 16, 20, 24, 28].map(fourPrefixes).join("")}
      (local.set $position (i32.add (local.get $position) (i32.const ${groupSize})))
      (local.set $slot (i32.add (local.get $slot) (i32.const ${groupSize * 4})))
      (br_if $group (i32.lt_u (local.get $slot) (local.get $end))))
    (local.get $prefix))`

/** For four positions: the bits of the mask that the hash lacks; a zero lane is a candidate. */
const missingBits = (vector: number): string => `
        (v128.andnot (v128.load offset=${masksOffset + vector * 16} (i32.const 0))
          (v128.xor (v128.load offset=${prefixesOffset + historyEnd + vector * 16} (local.get $slot))
            (v128.load offset=${prefixesOffset + vector * 16} (local.get $slot))))`

/** The first slot from `$slot` on that begins a group with a candidate, or the tile's end. */
const findGroup = `
  (func $findGroup (param $slot i32) (result i32) (local $least v128)
    (block $none
      (loop $group
        (br_if $none (i32.ge_u (local.get $slot) (i32.const ${tileEnd})))
        (local.set $least ${missingBits(0)})${[1, 2, 3, 4, 5, 6, 7]
          .map(
            (vector) => `
        (local.set $least (i32x4.min_u (local.get $least) ${missingBits(vector)}))`
          )
          .join("")}
        (if (i32.eqz (i32x4.all_true (local.get $least))) (then (return (local.get $slot))))
        (local.set $slot (i32.add (local.get $slot) (i32.const ${groupSize * 4})))
        (br $group)))
    (local.get $slot))`

const tableWord = (position: string): string =>
  `(i32.load offset=${tablesOffset} (i32.shl (i32.load8_u ${position}) (i32.const 2)))`

/** The exact test: the first cut from `$from` to `$to`, or -1. */
const roll = `
  (func $roll (param $from i32) (param $to i32) (param $mask i32) (result i32)
    (local $position i32) (local $hash i32)
    (local.set $position (i32.sub (local.get $from) (i32.const 64)))
    (loop $fill
      (local.set $hash
        (i32.xor (i32.rotl (local.get $hash) (i32.const 1)) ${tableWord("(local.get $position)")}))
      (local.set $position (i32.add (local.get $position) (i32.const 1)))
      (br_if $fill (i32.lt_u (local.get $position) (local.get $from))))
    (loop $next
      (if (i32.ge_u (i32.and (local.get $hash) (local.get $mask)) (i32.sub (local.get $mask) (i32.const 2)))
        (then (return (local.get $position))))
      (if (i32.lt_u (local.get $position) (local.get $to)) (then
        (local.set $hash (i32.xor (i32.rotl (local.get $hash) (i32.const 1)) (i32.xor
          ${tableWord("(i32.sub (local.get $position) (i32.const 64))")}
          ${tableWord("(local.get $position)")})))
        (local.set $position (i32.add (local.get $position) (i32.const 1)))
        (br $next))))
    (i32.const -1))`

/** Whether the tile at `$position` repeats the bytes 64 before it. */
const repeats = `
  (func $repeats (param $position i32) (result i32) (local $end i32)
    (local.set $end (i32.add (local.get $position) (i32.const ${tileSizeBytes})))
    (loop $next
      (if (v128.any_true (v128.xor (v128.load align=1 (local.get $position))
          (v128.load align=1 (i32.sub (local.get $position) (i32.const 64)))))
        (then (return (i32.const 0))))
      (local.set $position (i32.add (local.get $position) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $position) (local.get $end))))
    (i32.const 1))`

/**
 * Tile by tile, with the prefixes of the 64 bytes before the tile in front of the tile's own. `$before` is
 * the prefix 64 bytes back: when it equals `$prefix` the hash is 0, and a tile that repeats what precedes it
 * leaves it 0 and all prefixes as they are, so such a tile is passed over.
 */
const findCut = `
  (func (export "findCut") (param $position i32) (param $to i32) (param $mask i32) (result i32)
    (local $prefix i32) (local $before i32) (local $slot i32) (local $cut i32)
    (block $tail
      (br_if $tail (i32.lt_u (i32.sub (local.get $to) (local.get $position)) (i32.const ${tileSizeBytes})))
      (local.set $cut (call $roll (local.get $position) (local.get $position) (local.get $mask)))
      (if (i32.ne (local.get $cut) (i32.const -1)) (then (return (local.get $cut))))
      (local.set $prefix (call $fillPrefixes (i32.sub (local.get $position) (i32.const 64))
        (i32.const 0) (i32.const ${historyEnd}) (i32.const 0)))
      (loop $tile
        (block $tested
          (if (i32.eq (local.get $prefix) (local.get $before))
            (then (br_if $tested (call $repeats (local.get $position)))))
          (local.set $prefix (call $fillPrefixes (local.get $position)
            (i32.const ${historyEnd}) (i32.const ${historyEnd + tileEnd}) (local.get $prefix)))
          (local.set $slot (call $findGroup (i32.const 0)))
          (loop $candidates
            (if (i32.lt_u (local.get $slot) (i32.const ${tileEnd})) (then
              (local.set $cut (i32.add (local.get $position) (i32.shr_u (local.get $slot) (i32.const 2))))
              (local.set $cut (call $roll (i32.add (local.get $cut) (i32.const 1))
                (i32.add (local.get $cut) (i32.const ${groupSize})) (local.get $mask)))
              (if (i32.ne (local.get $cut) (i32.const -1)) (then (return (local.get $cut))))
              (local.set $slot (call $findGroup (i32.add (local.get $slot) (i32.const ${groupSize * 4}))))
              (br $candidates))))
          (local.set $before (i32.load (i32.const ${prefixesOffset + tileEnd - 4})))
          (memory.copy
            (i32.const ${prefixesOffset}) (i32.const ${prefixesOffset + tileEnd}) (i32.const ${historyEnd})))
        (local.set $position (i32.add (local.get $position) (i32.const ${tileSizeBytes})))
        (br_if $tile
          (i32.ge_u (i32.sub (local.get $to) (local.get $position)) (i32.const ${tileSizeBytes})))))
    (call $roll (local.get $position) (local.get $to) (local.get $mask)))`

/**
 * The module as base64. A shared memory has to be imported with a maximum; an unshared one need not have any.
 */
const buildModule = async (memory: string): Promise<string> => {
  const text = `(module
  (import "granary" "memory" (memory ${memory}))
  ${[fillPrefixes, findGroup, roll, repeats, findCut].join("\n")})`
  const features = { simd: true, threads: true, bulk_memory: true }
  const parsed = (await wabt()).parseWat("scanner.wat", text, features)
  try {
    return Buffer.from(parsed.toBinary({}).buffer).toString("base64")
  } finally {
    parsed.destroy()
  }
}

/** The source of `scannerModule.ts`. */
export const buildScannerSource = async (): Promise<string> => {
  const constant = (name: string, base64: string): string => {
    const lines = base64.match(/.{1,100}/g) ?? []
    return `export const ${name}: string =\n${lines.map((line) => `  "${line}"`).join(" +\n")}\n`
  }
  return `/**
 * The WebAssembly scanner in binary form, base64. Generated by \`scripts/buildScanner.ts\`, where the source
 * is; a test compares the two. Change that file and run \`npm run build:wasm\`.
 */
// oxfmt-ignore
${constant("sharedScannerModule", await buildModule("1 65536 shared"))}
// oxfmt-ignore
${constant("unsharedScannerModule", await buildModule("1"))}`
}

if (import.meta.main) {
  await writeFile(new URL("../src/chunking/scannerModule.ts", import.meta.url), await buildScannerSource())
}
