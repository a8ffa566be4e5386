/**
 * The part of the WebAssembly JavaScript interface that the scanner needs. It is described here because the
 * type library that declares it is that of browsers; `webAssembly` is undefined on a host without it.
 */

export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

export interface WasmMemoryDescriptor {
  readonly initial: number
  readonly maximum: number
  readonly shared: boolean
}

interface WasmModule {}

interface WasmInstance {
  readonly exports: { readonly findCut: (from: number, to: number, mask: number) => number }
}

export interface WebAssemblyApi {
  validate(binary: Uint8Array<ArrayBuffer>): boolean
  readonly Module: new (binary: Uint8Array<ArrayBuffer>) => WasmModule
  readonly Memory: new (descriptor: WasmMemoryDescriptor) => WasmMemory
  readonly Instance: new (module: WasmModule, imports: { granary: { memory: WasmMemory } }) => WasmInstance
}

export const webAssembly: WebAssemblyApi | undefined = Reflect.get(globalThis, "WebAssembly")
