import type { DefectResult } from '../children/defects.js'
import type { BenchContext, Metrics } from './bench.js'

/** Packages that the defects are looked for in. */
const packages = [
  '@langchain/classic/vectorstores/memory',
  '@langchain/community/indexes/memory',
  '@langchain/core/indexing',
  '@orama/orama',
  'hnswlib-node',
  'llamaindex',
]

/** Seven things that go wrong in other libraries, done with them and with us: how many are wrong there and right here. */
export async function countDefects(context: BenchContext): Promise<Metrics> {
  const urls: Record<string, string> = {}
  for (const name of packages) urls[name] = await context.peer(name)
  const { result } = await context.child<DefectResult[]>('children/defects.ts', urls)
  context.table([
    ['what', 'where', 'there', 'here'],
    ...result.map(({ name, ours, rival, theirs }) => [
      name,
      rival,
      theirs ? 'right' : 'wrong',
      ours ? 'right' : 'WRONG',
    ]),
  ])
  return { 'defects.passed': result.filter(({ ours, theirs }) => ours && !theirs).length }
}
