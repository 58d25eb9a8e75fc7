import type { SearchPlan } from '../../../src/lexical-index/search.js'
import { findTerm } from '../../../src/lexical-index/segment.js'
import { hasBit, type SegmentView } from '../../../src/lexical-index/view.js'

interface Match {
  readonly number: number
  readonly score: number
}

/** The same ranking with every posting scored and every chunk looked at, written down plainly: what pruning must equal to the last bit. */
export function searchExhaustively({
  views,
  terms,
  topK,
  allow,
  k1,
  b,
  documentWeight,
}: Omit<SearchPlan, 'alsoScore'>): Match[] {
  const chunks = scoreLevel(views, terms, { k1, b, level: 'chunk' })
  const windows = scoreLevel(views, terms, { k1, b, level: 'window', order: chunks.order })
  const documents = new Map<number, number>()
  forEachDocument(views, ({ base, segment, d, v }) => {
    for (let w = segment.documentWindows[d]!; w < segment.documentWindows[d + 1]!; w++)
      documents.set(base, Math.max(documents.get(base) ?? 0, windows.scores[v]![w]!))
  })
  const chunkScale = chunks.greatest === 0 ? 0 : 1 / chunks.greatest
  const windowScale = documentWeight * (windows.greatest === 0 ? 0 : 1 / windows.greatest)
  const found: Match[] = []
  forEachDocument(views, ({ base, segment, d, v }) => {
    const from = segment.windowChunks[segment.documentWindows[d]!]!
    const to = segment.windowChunks[segment.documentWindows[d + 1]!]!
    for (let c = from; c < to; c++) {
      const score = chunks.scores[v]![c]!
      const number = base + segment.chunkOrdinals[c]!
      if (score === 0 || (allow !== undefined && !allow.has(number))) continue
      found.push({ number, score: score * chunkScale + (documentWeight > 0 ? windowScale * documents.get(base)! : 0) })
    }
  })
  return found.sort((x, y) => y.score - x.score || x.number - y.number).slice(0, topK)
}

function scoreLevel(
  views: readonly SegmentView[],
  terms: ReadonlyMap<string, number>,
  options: { readonly k1: number; readonly b: number; readonly level: 'chunk' | 'window'; readonly order?: string[] },
) {
  const { k1, b, level } = options
  const lengths = views.map(({ segment }) => segment[`${level}Lengths`])
  const isGone = (v: number, place: number) => {
    const removed = views[v]!.removed?.[`${level}s`]
    return removed !== undefined && hasBit(removed, place)
  }
  let count = 0
  let tokens = 0
  for (const [v, own] of lengths.entries()) {
    for (const [place, length] of own.entries()) {
      if (isGone(v, place)) continue
      count++
      tokens += length
    }
  }
  const average = tokens === 0 ? 1 : tokens / count
  const weights = new Map<string, number>()
  const postings = new Map<string, { v: number; place: number; tf: number }[]>()
  for (const [term, repeated] of terms) {
    const own = views.flatMap(({ segment }, v) => {
      const t = findTerm(segment, Buffer.from(term))
      const list =
        t < 0
          ? []
          : [...segment[`${level}Postings`].subarray(segment[`${level}Starts`][t]!, segment[`${level}Starts`][t + 1]!)]
      return list
        .map((posting) => ({ v, place: posting >>> 8, tf: posting & 255 }))
        .filter(({ place }) => !isGone(v, place))
    })
    postings.set(term, own)
    weights.set(term, Math.log(1 + (count - own.length + 0.5) / (own.length + 0.5)) * repeated * (k1 + 1))
  }
  const order = options.order ?? [...terms.keys()].sort((x, y) => weights.get(y)! - weights.get(x)!)
  const scores = lengths.map((own) => new Float32Array(own.length))
  let greatest = 0
  for (const term of order) {
    for (const { v, place, tf } of postings.get(term)!) {
      const saturation = tf + k1 * (1 - b) + ((k1 * b) / average) * lengths[v]![place]!
      scores[v]![place] = scores[v]![place]! + weights.get(term)! * (tf / saturation)
      greatest = Math.max(greatest, scores[v]![place]!)
    }
  }
  return { scores, greatest, order }
}

function forEachDocument(
  views: readonly SegmentView[],
  visit: (document: { base: number; segment: SegmentView['segment']; d: number; v: number }) => void,
): void {
  for (const [v, { segment }] of views.entries())
    for (let d = 0; d < segment.bases.length; d++) visit({ base: segment.bases[d]!, segment, d, v })
}
