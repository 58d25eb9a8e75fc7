import type { TokenizedTexts } from '../../src/models/types.js'
import { randomNumbers } from '../../src/testing/support.js'
import { dot } from '../../src/util/vector-math.js'
import { type BareSession, openBareSession, pickTexts, randomTexts, type SessionSpec } from '../lib/bare-session.js'

export interface RowsTask {
  /** The first one is what the others are compared with. */
  readonly specs: readonly SessionSpec[]
  readonly texts: number
}

/** What one model file makes of texts, alone and among others. */
export interface RowsResult {
  readonly name: string
  /** Least cosine with the vectors of the first file, texts alone. */
  readonly leastAgreement: number
  /** Least cosine of a text alone with itself among seven others of other lengths. */
  readonly leastAmongOthers: number
  /** Share of texts with the same bits alone and among others, of other lengths and of the same length. */
  readonly sameAmongOthers: number
  readonly sameAmongEquals: number
}

const batchSize = 8

/** Texts of 11 to 128 tokens; as many again of one length. */
export default async function compareRows({ specs, texts }: RowsTask): Promise<RowsResult[]> {
  const random = randomNumbers(9)
  const mixed = randomTexts(
    Array.from({ length: texts }, () => 11 + Math.floor(random() * 118)),
    3,
  )
  const equal = randomTexts(new Array<number>(texts).fill(48), 4)
  const results: RowsResult[] = []
  let reference: Float32Array[] = []
  for (const spec of specs) {
    const session = await openBareSession(spec)
    const alone = await inBatches(session, mixed, 1)
    const among = await inBatches(session, mixed, batchSize)
    const equalAlone = await inBatches(session, equal, 1)
    const equalAmong = await inBatches(session, equal, batchSize)
    await session.release()
    if (results.length === 0) reference = alone
    results.push({
      name: spec.name,
      leastAgreement: leastCosine(alone, reference),
      leastAmongOthers: leastCosine(alone, among),
      sameAmongOthers: shareOfSame(alone, among),
      sameAmongEquals: shareOfSame(equalAlone, equalAmong),
    })
  }
  return results
}

async function inBatches(session: BareSession, all: TokenizedTexts, size: number): Promise<Float32Array[]> {
  const count = all.offsets.length - 1
  const vectors: Float32Array[] = []
  for (let first = 0; first < count; first += size) {
    const texts = Array.from({ length: Math.min(size, count - first) }, (_, place) => first + place)
    const packed = await session.vectors(pickTexts(all, texts))
    const dimensions = packed.length / texts.length
    for (const place of texts.keys()) vectors.push(packed.slice(place * dimensions, (place + 1) * dimensions))
  }
  return vectors
}

function leastCosine(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  return Math.min(...some.map((vector, text) => dot(vector, 0, others[text] as Float32Array, 0, vector.length)))
}

function shareOfSame(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  const same = some.filter(
    (vector, text) => Buffer.compare(bytesOf(vector), bytesOf(others[text] as Float32Array)) === 0,
  )
  return same.length / some.length
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
