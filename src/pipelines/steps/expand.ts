import type { Chunk, Span } from '../../core/chunk.js'
import type { ExpandOptions, Hit, HitContext, RetrieveOptions } from '../../core/search.js'
import type { StoreNamespace } from '../../store/types.js'
import type { NumberedHit } from '../retrieve.js'
import type { BudgetTools } from './budget.js'

export interface ExpandTools {
  readonly namespace: StoreNamespace
  /** See `RetrieveTools`. */
  readonly turn: () => Promise<void>
}

/** Limits of {@link ExpandOptions}, where it says nothing and at most. */
export const expandLimits = { passages: 1_000, maxChars: 1_000_000 }
const usualMaxChars = 2_000
/** Looked up before the event loop gets a turn: some 20 µs each. */
const passagesPerTurn = 32

/**
 * Gives hits the text around them, as the store keeps it. Passages are taken alternately from behind and before a hit while they fit; a
 * gap between two passages (a heading, blank lines) comes with them. A hit whose document was replaced meanwhile has itself as context.
 */
export async function expandHits(
  hits: readonly NumberedHit[],
  expand: RetrieveOptions['expand'],
  tools: ExpandTools,
): Promise<Hit[]> {
  if (expand === undefined) return hits.map(({ hit }) => hit)
  const reach = reachOf(expand)
  const spans: DocumentSpan[] = []
  for (const { number, hit } of hits) {
    spans.push({ documentId: hit.chunk.documentId, span: await spanAround(number, hit.chunk, reach, tools) })
  }
  const contexts = new Map<DocumentSpan, HitContext>()
  const merged = mergeOverlapping(spans)
  for (const union of new Set(merged)) {
    await tools.turn()
    contexts.set(union, readContext(union, tools.namespace))
  }
  return hits.map(({ hit }, place) => {
    const context = contexts.get(merged[place] as DocumentSpan) as HitContext
    return { ...hit, context: holds(context, hit.chunk) ? context : ownContext(hit.chunk) }
  })
}

/** {@link expandHits} where there is time for it; else hits come without. */
export async function expandInTime(
  hits: readonly NumberedHit[],
  expand: RetrieveOptions['expand'],
  tools: ExpandTools & BudgetTools,
): Promise<Hit[]> {
  if (expand === undefined || hits.length === 0) return expandHits(hits, undefined, tools)
  const { budget, estimates, now } = tools
  const measuredAs = `expand.${typeof expand === 'string' ? expand : 'passages'}`
  if (budget !== undefined && budget.admit('expand', measuredAs) === undefined)
    return expandHits(hits, undefined, tools)
  const began = now()
  const expanded = await expandHits(hits, expand, tools)
  estimates.note(measuredAs, now() - began)
  return expanded
}

interface Reach {
  readonly before: number
  readonly after: number
  readonly maxChars: number
  /** Whether to stop where other headings begin. */
  readonly withinSection: boolean
}

function reachOf(expand: 'neighbours' | 'section' | ExpandOptions): Reach {
  const { passages } = expandLimits
  if (expand === 'section') return { before: passages, after: passages, maxChars: usualMaxChars, withinSection: true }
  const { before = 1, after = 1, maxChars = usualMaxChars } = expand === 'neighbours' ? {} : expand
  return { before, after, maxChars, withinSection: false }
}

interface DocumentSpan {
  readonly documentId: string
  readonly span: Span
}

/** The span of a passage and of as many around it as fit. */
async function spanAround(number: number, chunk: Chunk, reach: Reach, { namespace, turn }: ExpandTools): Promise<Span> {
  const sides = [
    { step: 1, taken: 0, limit: reach.after },
    { step: -1, taken: 0, limit: reach.before },
  ].filter(({ limit }) => limit > 0)
  let { span } = chunk
  for (let side = sides.shift(); side !== undefined; side = sides.shift()) {
    if (side.taken % passagesPerTurn === 0) await turn()
    const [neighbour] = namespace.chunks([number + side.step * ++side.taken])
    if (neighbour === undefined || !isNear(neighbour, chunk, reach)) continue
    const joined = joinedSpan(span, neighbour.span)
    if (joined.end - joined.start > reach.maxChars) continue
    span = joined
    if (side.taken < side.limit) sides.push(side)
  }
  return span
}

function isNear(neighbour: Chunk, chunk: Chunk, { withinSection }: Reach): boolean {
  return neighbour.documentId === chunk.documentId && (!withinSection || sameHeadings(neighbour, chunk))
}

function joinedSpan(one: Span, other: Span): Span {
  const first = other.start < one.start ? other : one
  return { ...first, start: first.start, end: Math.max(one.end, other.end) }
}

function sameHeadings(one: Chunk, other: Chunk): boolean {
  return one.headings.length === other.headings.length && one.headings.every((text, i) => text === other.headings[i])
}

/** For each span the union of all that it overlaps or touches, directly or through others: the same object for all of them. */
function mergeOverlapping(spans: readonly DocumentSpan[]): DocumentSpan[] {
  const order = [...spans.keys()].sort((a, b) => {
    const [one, other] = [spans[a] as DocumentSpan, spans[b] as DocumentSpan]
    if (one.documentId !== other.documentId) return one.documentId < other.documentId ? -1 : 1
    return one.span.start - other.span.start
  })
  const unions: { union: DocumentSpan; places: number[] }[] = []
  for (const place of order) {
    const next = spans[place] as DocumentSpan
    const last = unions.at(-1)
    if (last !== undefined && last.union.documentId === next.documentId && next.span.start <= last.union.span.end) {
      last.union = { ...last.union, span: joinedSpan(last.union.span, next.span) }
      last.places.push(place)
    } else unions.push({ union: next, places: [place] })
  }
  const merged: DocumentSpan[] = []
  for (const { union, places } of unions) for (const place of places) merged[place] = union
  return merged
}

function readContext({ documentId, span }: DocumentSpan, namespace: StoreNamespace): HitContext {
  return { text: namespace.text(documentId, span.start, span.end), span }
}

/** Another version of the document may have become current since the hit was read. */
function holds({ text, span }: HitContext, chunk: Chunk): boolean {
  return text.length === span.end - span.start && text.startsWith(chunk.text, chunk.span.start - span.start)
}

function ownContext({ span, text }: Chunk): HitContext {
  return { text, span }
}
