/** What an output holds, as 32-bit floats. The binding gives 16-bit ones as `Float16Array` where there is one, else as their bits. */
export function floatsOf(data: unknown): Float32Array {
  if (data instanceof Float32Array) return data
  if (data instanceof Uint16Array) return fromHalfFloats(data)
  return Float32Array.from(data as ArrayLike<number>)
}

let table: Float32Array | undefined

/** 16-bit floats (IEEE 754 binary16, as bits) as 32-bit ones. */
export function fromHalfFloats(bits: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 1 << 16 }, (_, half) => fromHalf(half))
  const values = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] as number] as number
  return values
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = (half & 0x3ff) / 1024
  if (exponent === 0) return sign * fraction * 2 ** -14
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction) * 2 ** (exponent - 15)
}
