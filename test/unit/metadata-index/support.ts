import fc from 'fast-check'
import type { Metadata, MetadataValue } from '../../../src/core/document.js'
import { encodePiece, type PieceChunk } from '../../../src/core/piece.js'
import { createMetadataIndex, type MetadataIndex } from '../../../src/metadata-index/metadata-index.js'
import { allowedNumbers, scanDocuments } from '../../../src/pipelines/steps/allow.js'
import type { StoreNamespace } from '../../../src/store/types.js'
import { createTurns } from '../../../src/util/yield.js'

/** A document of chunks; those that are no plain `undefined` have metadata of their own. */
export interface Sample {
  readonly metadata: Metadata
  readonly chunks: readonly (Metadata | undefined)[]
}

let version = 0

/** Commits a document, its chunks two to a piece. */
export async function put(namespace: StoreNamespace, id: string, { metadata, chunks }: Sample): Promise<void> {
  const writer = namespace.begin(id)
  for (let first = 0; first < chunks.length; first += 2) {
    const some = chunks.slice(first, first + 2)
    const rows = some.map((own, i): PieceChunk => {
      const span = { start: first + i, end: first + i + 1 }
      return {
        id: `${first + i}`.padStart(32, '0'),
        span,
        headings: [],
        ...(own === undefined ? {} : { metadata: own }),
      }
    })
    const piece = { firstOrdinal: first, start: first, text: 'x'.repeat(some.length), chunks: rows }
    await writer.write(encodePiece(piece), some.length)
  }
  const own = chunks.some((chunk) => chunk !== undefined)
  await writer.commit({
    title: `Title of ${id}`,
    source: `folder/${id}.md`,
    mediaType: 'text/markdown',
    language: id < 'c' ? 'en' : 'de',
    metadata,
    characters: chunks.length,
    pages: 0,
    contentHash: `${++version}`.padStart(64, '0'),
    pipeline: 'test',
    ...(own ? { chunkMetadata: true as const } : {}),
  })
}

/** An index with what keeps it up to date, as the runtime of a namespace does. */
export function follow(namespace: StoreNamespace) {
  const metadata = createMetadataIndex({ namespace, turns: createTurns() })
  const freshen = async (): Promise<void> => {
    if (metadata.epoch >= namespace.epoch()) return
    const changes = namespace.changes(metadata.epoch)
    if (changes === undefined) metadata.forget()
    else await metadata.follow({ ...changes, epoch: Math.max(changes.epoch, namespace.epoch()) })
  }
  return { metadata, freshen }
}

/** What the columns say and what testing every document says. */
export async function bothWays(
  filter: Record<string, unknown>,
  tools: {
    readonly metadata: MetadataIndex
    readonly namespace: StoreNamespace
    readonly freshen: () => Promise<void>
  },
): Promise<{ readonly columns: readonly unknown[]; readonly scan: readonly unknown[] }> {
  await tools.freshen()
  const columns = [...(await allowedNumbers(filter as never, tools))]
  return { columns, scan: [...(await scanDocuments(filter as never, tools.namespace))] }
}

const large = 'y'.repeat(1_100)
const scalar = fc.constantFrom<MetadataValue>(
  null,
  true,
  false,
  0,
  -0,
  1,
  2,
  -1.5,
  1e300,
  '',
  'a',
  'ab',
  'b',
  'ü',
  '1',
  large,
)
const element = fc.constantFrom<MetadataValue>(null, true, 0, 1, 2, 'a', 'ab', large, [1], ['a'], { a: 1 })
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(element, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<MetadataValue>({ a: 1 }, { b: { c: 'a' } }, { 'b.c': 2 }, Array(1_100).fill(1)),
  },
)
export const metadata = fc.dictionary(fc.constantFrom('x', 'y', 'z', 'z.b'), value, { maxKeys: 3 })
export const sample: fc.Arbitrary<Sample> = fc.record({
  metadata,
  chunks: fc.array(fc.option(metadata, { nil: undefined, freq: 1 }), { maxLength: 5 }),
})

const common = fc.constantFrom<string | number | boolean | null>('a', 'ab', 1, 2, null, true)
const rare = fc.constantFrom<string | number | boolean | null>(
  false,
  0,
  -0,
  Number.POSITIVE_INFINITY,
  '',
  'b',
  'ü',
  '1',
  large,
)
const operand = fc.oneof({ weight: 2, arbitrary: common }, { weight: 1, arbitrary: rare })
const bound = fc.constantFrom(0, 1, -2, Number.NEGATIVE_INFINITY, '', 'a', 'b', large)
/** One operator mostly: several at once hardly ever hold. */
const one = fc.oneof(
  fc.record({ $eq: operand }),
  fc.record({ $ne: operand }),
  fc.record({ $gt: bound }),
  fc.record({ $gte: bound }),
  fc.record({ $lt: bound }),
  fc.record({ $lte: bound }),
  fc.record({ $exists: fc.boolean() }),
  fc.record({ $contains: operand }),
  fc.record({ $in: fc.array(operand, { maxLength: 3 }) }),
  fc.record({ $nin: fc.array(operand, { maxLength: 3 }) }),
)
const condition = fc.oneof(
  operand,
  one,
  one,
  fc.tuple(one, one).map(([a, b]) => ({ ...a, ...b })),
)
const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('x', 'y', 'z') },
  { weight: 2, arbitrary: fc.constantFrom('z.b', 'z.b.c', 'z.a', 'nowhere') },
)
const reserved = fc.record(
  { $id: fc.constantFrom('a', 'b', 'c'), $language: fc.constantFrom('en', 'de') },
  { requiredKeys: ['$id'] },
)
const named = fc.constantFrom({ $title: { $contains: 'of b' } }, { $source: { $gt: 'folder/b' } }, { $mediaType: 'x' })
/** Any filter over what the samples above hold, and some they do not. */
export const { filter: anyFilter } = fc.letrec<{ filter: Record<string, unknown> }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.dictionary(path, condition, { minKeys: 1, maxKeys: 2 }),
    reserved,
    named,
    fc.record({ $and: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $or: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $not: tie('filter') }),
  ),
}))
