import { statSync } from 'node:fs'
import type { RowsResult, RowsTask } from '../children/session-rows.js'
import type { SessionSpec } from '../lib/bare-session.js'
import type { BenchContext, Metrics } from '../lib/bench.js'
import { formatRatio } from '../lib/measure.js'
import { minilm } from './models.js'
import { batchRatio, shapeNames, speedOf } from './speed.js'

/** On x64 without VNNI the runtime then turns signed weights into unsigned ones, whose products do not overflow. */
const exactProducts = { extra: { session: { x64quantprecision: '1' } } }

const specs = (): SessionSpec[] => [
  { name: 'fp32', weights: minilm('fp32') },
  { name: 'fp16', weights: minilm('fp16') },
  { name: 'int8, 7-bit weights', weights: minilm('int8') },
  { name: 'int8, 8-bit weights', weights: minilm('int8-vnni') },
  { name: 'the same, exact products', weights: minilm('int8-vnni'), options: exactProducts },
  { name: '8-bit blocks', weights: minilm('int8-blocks') },
  { name: '4-bit blocks', weights: minilm('int4') },
]
const keys = ['fp32', 'fp16', 'int8', 'int8Full', 'int8FullExact', 'blocks8', 'blocks4']

/** How fast each format is, how near to full precision, and whether a vector depends on its batch mates. */
export async function compareFormats(context: BenchContext): Promise<Metrics> {
  const all = specs()
  const speed = await speedOf(all, context)
  const task: RowsTask = { specs: all, texts: context.quick ? 32 : 128 }
  const { result: rows } = await context.child<RowsResult[]>('children/session-rows.ts', task)
  context.log(
    '\nNumber formats: time against fp32; least cosine with fp32; a text alone and among seven of other lengths',
  )
  context.table([
    ['', 'MB', ...shapeNames, 'with fp32', 'alone/among', 'same bits', 'among equal lengths'],
    ...rows.map((row, place) => [
      row.name,
      (statSync(all[place]!.weights).size / 1e6).toFixed(0),
      ...speed.map((comparisons) => formatRatio(comparisons[place]!)),
      row.leastAgreement.toFixed(5),
      row.leastAmongOthers.toFixed(6),
      percent(row.sameAmongOthers),
      percent(row.sameAmongEquals),
    ]),
  ])
  return Object.fromEntries(
    rows.flatMap((row, place) => [
      ...(place === 0 ? [] : [[`formats.${keys[place]}Time`, batchRatio(speed, place)]]),
      [`formats.${keys[place]}LeastCosine`, row.leastAgreement],
      [`formats.${keys[place]}SameBits`, row.sameAmongOthers],
    ]),
  )
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`
}
