import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { openSafetensors, writeSafetensors } from '../../../src/models/safetensors.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))

const path = join(folder, 'model.safetensors')

/** A file as its bytes say, whatever its header claims. */
function writeFile(header: unknown, data: Uint8Array = new Uint8Array(0), length?: number | bigint): string {
  const text = typeof header === 'string' || header instanceof Uint8Array ? header : JSON.stringify(header)
  const bytes = Buffer.from(text as string)
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(length ?? bytes.length))
  writeFileSync(path, Buffer.concat([prefix, bytes, data]))
  return path
}

function writeBytes(length: number): string {
  writeFileSync(path, Buffer.alloc(length))
  return path
}

async function readAll(file: string): Promise<Record<string, { shape: readonly number[]; values: number[] }>> {
  const opened = await openSafetensors(file)
  try {
    const all: Record<string, { shape: readonly number[]; values: number[] }> = {}
    for (const tensor of opened.tensors.values()) {
      const values: number[] = []
      for await (const part of opened.values(tensor)) values.push(...part)
      all[tensor.name] = { shape: tensor.shape, values }
    }
    return all
  } finally {
    await opened.close()
  }
}

const tensor = (dtype: string, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets })

describe('a safetensors file', () => {
  it('is read as it was written, whatever the shapes', async () => {
    const one = fc.record({
      rows: fc.integer({ min: 0, max: 9 }),
      columns: fc.integer({ min: 1, max: 9 }),
      value: fc.float({ noNaN: true }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 4 }), async (shapes) => {
        const tensors = shapes.map(({ rows, columns, value }, place) => ({
          name: `tensor ${place}`,
          type: 'F32' as const,
          shape: [rows, columns],
          values: new Float32Array(rows * columns).map((_, i) => Math.fround(value + i)),
        }))
        await writeSafetensors(path, tensors, { metadata: { format: 'pt' } })
        const read = await readAll(path)
        const expected = tensors.map(({ name, shape, values }) => [name, { shape, values: [...values] }])
        expect(read).toEqual(Object.fromEntries(expected))
      }),
      { numRuns: 50, seed: 1 },
    )
  })

  it('is read in parts of whole rows', async () => {
    const values = new Float32Array(900 * 700).map((_, i) => i)
    await writeSafetensors(path, [{ name: 'matrix', type: 'F32', shape: [900, 700], values }])
    const file = await openSafetensors(path)
    const lengths: number[] = []
    let place = 0
    for await (const part of file.values(file.tensors.get('matrix')!)) {
      lengths.push(part.length)
      expect(part[0]).toBe(place)
      place += part.length
    }
    await file.close()
    expect(place).toBe(values.length)
    expect(lengths.length).toBeGreaterThan(1)
    expect(lengths.every((length) => length % 700 === 0 && length <= 2 ** 18)).toBe(true)
  })

  it('is read in bounded parts when one row is all there is', async () => {
    const values = new Float32Array(600_000).map((_, i) => i)
    await writeSafetensors(path, [{ name: 'row', type: 'F32', shape: [1, 600_000], values }])
    const file = await openSafetensors(path)
    const parts: number[] = []
    for await (const part of file.values(file.tensors.get('row')!)) parts.push(part.length)
    await file.close()
    expect(parts).toEqual([262_144, 262_144, 75_712])
  })

  it('holds numbers of many types', async () => {
    const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x7c00, 0x3555).buffer)
    const brain = Buffer.from(Uint16Array.of(0x3f80, 0xc000, 0x4049).buffer)
    const doubles = Buffer.from(Float64Array.of(0.1, -3).buffer)
    const longs = Buffer.from(BigInt64Array.of(-1n, 2n ** 52n).buffer)
    const bytes = Buffer.from(Int8Array.of(-128, 127).buffer)
    writeFile(
      {
        F64: tensor('F64', [2], [0, 16]),
        I64: tensor('I64', [2], [16, 32]),
        F16: tensor('F16', [7], [32, 46]),
        BF16: tensor('BF16', [3], [46, 52]),
        I8: tensor('I8', [2], [52, 54]),
      },
      Buffer.concat([doubles, longs, halves, brain, bytes]),
    )
    const read = await readAll(path)
    expect(read.F64?.values).toEqual([0.1, -3])
    expect(read.I64?.values).toEqual([-1, 2 ** 52])
    // https://en.wikipedia.org/wiki/Half-precision_floating-point_format#Half_precision_examples
    expect(read.F16?.values).toEqual([1, -2, Math.fround(2 ** -24), 65_504, -0, Infinity, 0.333251953125])
    expect(read.BF16?.values).toEqual([1, -2, 3.140625])
    expect(read.I8?.values).toEqual([-128, 127])
  })

  it('may be of a type that is only refused when its values are asked for', async () => {
    writeFile({ flags: tensor('BOOL', [3], [0, 3]) }, new Uint8Array(3))
    await expect(readAll(path)).rejects.toMatchObject({ code: 'UNSUPPORTED', data: { path, tensor: 'flags' } })
  })

  it('is named in the error when it is missing', async () => {
    const missing = join(folder, 'none.safetensors')
    await expect(openSafetensors(missing)).rejects.toMatchObject({ code: 'NOT_FOUND', data: { path: missing } })
  })

  it('stops being read when the signal fires', async () => {
    await writeSafetensors(path, [{ name: 'a', type: 'F32', shape: [2], values: Float32Array.of(1, 2) }])
    const file = await openSafetensors(path)
    const reason = new Error('enough')
    const values = file.values(file.tensors.get('a')!, AbortSignal.abort(reason))
    await expect(values.next()).rejects.toBe(reason)
    await file.close()
  })

  it('is not written when shape and values disagree', async () => {
    const values = new Float32Array(5)
    const written = writeSafetensors(path, [{ name: 'a', type: 'F32', shape: [2, 3], values }])
    await expect(written).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })
})

describe('a damaged safetensors file', () => {
  const f32 = (shape: unknown, offsets: unknown) => tensor('F32', shape, offsets)
  const damages: [what: string, make: () => string][] = [
    ['is a folder', () => folder],
    ['is empty', () => writeBytes(0)],
    ['is shorter than the length of its header', () => writeBytes(7)],
    ['claims a header of 2^63 bytes', () => writeFile('{}', undefined, 2n ** 63n)],
    ['claims a header longer than itself', () => writeFile('{}', undefined, 3)],
    ['has a header that is not UTF-8', () => writeFile(Uint8Array.of(0x7b, 0xff, 0x7d))],
    ['has a header that is not JSON', () => writeFile('{"a":')],
    ['has a header nested beyond reason', () => writeFile('['.repeat(2 ** 20))],
    ['has a list as its header', () => writeFile([])],
    ['describes no tensor', () => writeFile({ a: null })],
    ['has an unknown type', () => writeFile({ a: tensor('__proto__', [1], [0, 4]) }, new Uint8Array(4))],
    ['has no shape', () => writeFile({ a: f32(undefined, [0, 4]) }, new Uint8Array(4))],
    ['has a negative size', () => writeFile({ a: f32([-1, -1], [0, 4]) }, new Uint8Array(4))],
    ['has a fractional size', () => writeFile({ a: f32([0.5, 2], [0, 4]) }, new Uint8Array(4))],
    ['has sizes whose product is beyond any number', () => writeFile({ a: f32([2 ** 53 - 1, 2 ** 53 - 1], [0, 4]) })],
    ['claims more values than it has bytes', () => writeFile({ a: f32([1e9, 256], [0, 1_024e9]) }, new Uint8Array(4))],
    ['has a tensor larger than its shape', () => writeFile({ a: f32([1], [0, 8]) }, new Uint8Array(8))],
    ['has a tensor that ends before it begins', () => writeFile({ a: f32([1], [4, 0]) }, new Uint8Array(4))],
    ['has three offsets', () => writeFile({ a: f32([1], [0, 4, 4]) }, new Uint8Array(4))],
    ['has tensors that overlap', () => writeFile({ a: f32([2], [0, 8]), b: f32([1], [4, 8]) }, new Uint8Array(8))],
    ['has the same bytes twice', () => writeFile({ a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, new Uint8Array(4))],
    ['has a gap', () => writeFile({ a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, new Uint8Array(12))],
    [
      'describes a tensor twice',
      () =>
        writeFile(
          '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
          new Uint8Array(8),
        ),
    ],
    ['begins with a gap', () => writeFile({ a: f32([1], [4, 8]) }, new Uint8Array(8))],
    ['is cut off', () => writeFile({ a: f32([2], [0, 8]) }, new Uint8Array(7))],
    ['goes on after its end', () => writeFile({ a: f32([2], [0, 8]) }, new Uint8Array(9))],
    ['has values but no tensors', () => writeFile({}, new Uint8Array(4))],
  ]

  for (const [what, make] of damages) {
    it(`is refused by name when it ${what}`, async () => {
      const damaged = make()
      const opened = openSafetensors(damaged)
      await expect(opened).rejects.toMatchObject({ code: 'INTEGRITY', data: { path: damaged } })
      await expect(opened).rejects.toThrow(damaged)
    })
  }

  it('is told from a sound one wherever it is cut', async () => {
    await writeSafetensors(path, [{ name: 'a', type: 'F32', shape: [3], values: Float32Array.of(1, 2, 3) }])
    const file = await openSafetensors(path)
    const size = file.tensors.get('a')!.end
    await file.close()
    for (let length = size - 1; length >= 0; length--) {
      truncateSync(path, length)
      await expect(openSafetensors(path)).rejects.toMatchObject({ code: 'INTEGRITY' })
    }
  })

  it('is noticed when it becomes shorter while it is read', async () => {
    await writeSafetensors(path, [{ name: 'a', type: 'F32', shape: [3], values: Float32Array.of(1, 2, 3) }])
    const file = await openSafetensors(path)
    truncateSync(path, file.tensors.get('a')!.end - 4)
    await expect(file.values(file.tensors.get('a')!).next()).rejects.toMatchObject({ code: 'INTEGRITY' })
    await file.close()
  })

  it('never harms, whatever its bytes are', async () => {
    const bytes = fc.uint8Array({ maxLength: 64 })
    const json = fc.json({ maxDepth: 3 })
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, json), fc.uint8Array({ maxLength: 16 }), async (header, data) => {
        writeFile(header, data)
        const outcome = await openSafetensors(path).then(
          (file) => file.close().then(() => 'sound'),
          (error: { code?: string }) => error.code,
        )
        expect(['sound', 'INTEGRITY']).toContain(outcome)
      }),
      { numRuns: 300, seed: 2 },
    )
  })
})
