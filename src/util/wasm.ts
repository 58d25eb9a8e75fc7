/** The part of WebAssembly that is used here; its types come with the DOM library only. Undefined under `--jitless`. */
export const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly

interface WasmApi {
  readonly Memory: new (limits: {
    readonly initial: number
    readonly maximum: number
    readonly shared?: boolean
  }) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly host: { readonly memory: WasmMemory } },
  ) => { readonly exports: unknown }
}

/** Memory of a kernel. A shared one crosses threads as it is. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** Bytes by which memory grows. */
export const wasmPageBytes = 65_536

/**
 * A kernel: a module of a few hundred bytes that imports nothing but `host.memory`. The function binds it to a memory; it compiles
 * the module when first called, once per thread, in well under a millisecond, and throws where WebAssembly or an instruction set
 * that the module needs is missing.
 */
export function wasmKernel<Exports>(base64: string): (memory: WasmMemory) => Exports {
  let module: object | undefined
  return (memory) => {
    module ??= new wasm.Module(Buffer.from(base64, 'base64'))
    return new wasm.Instance(module, { host: { memory } }).exports as Exports
  }
}
