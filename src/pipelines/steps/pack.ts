import type { Source } from '../../core/answer.js'
import type { Span } from '../../core/chunk.js'
import type { Hit, HitContext } from '../../core/search.js'
import type { StoreNamespace } from '../../store/types.js'
import { type CutOptions, endOfFitting, endOfFittingWords, startOfFitting } from './cut-text.js'

/** How much a model is shown. */
export interface PackOptions {
  /** UTF-16 code units; `Infinity` for any number. */
  readonly maxContextChars: number
  /** Absent: tokens are not counted. */
  readonly maxContextTokens?: number
}

export interface PackTools {
  readonly namespace: Pick<StoreNamespace, 'text'>
  readonly countTokens: (text: string) => number
  /** See `RetrieveTools`. */
  readonly turn: () => Promise<void>
}

/** Hits that are packed before others have their turn: a joined one takes some 20 µs. */
const hitsPerTurn = 32

/**
 * Makes of hits, best first, what a model is shown, numbered in the order of their best hits:
 *
 * - Hits of one document that overlap, or are neighbours there, become one source: the text of the document from the first to the last.
 * - A passage whose text another source shows already, as a copy of a document has it, is left out.
 * - Sources are taken while they fit. The first that does not is cut to whole sentences, the rest left out. The best one is always there; a
 *   first sentence that is longer than all there is room for is cut at a word.
 *
 * Every source still is exactly a stretch of its document.
 */
export async function packSources(hits: readonly Hit[], options: PackOptions, tools: PackTools): Promise<Source[]> {
  const packing = new Packing(options, tools)
  for (const [place, hit] of hits.entries()) {
    if (place % hitsPerTurn === hitsPerTurn - 1) await tools.turn()
    if (!packing.add(hit)) break
  }
  return packing.sources()
}

/** What a model is shown of a hit: the text around it where there is any, else the passage. */
export function shownText({ chunk, context }: Hit): HitContext {
  return context ?? { text: chunk.text, span: chunk.span }
}

/** A stretch of a document that becomes a source. */
interface Block extends HitContext {
  /** The best one first. */
  readonly hits: readonly Hit[]
  /** Its text without what copies of a document differ in; `''` where it is too long to be compared. */
  readonly comparable: string
  /** See {@link placeOf}. */
  readonly place: string
  readonly cost: Cost
}

interface Cost {
  readonly characters: number
  readonly tokens: number
}

/** Blocks, the best ones, among which a text is looked for that one of them may show already. */
const maxCompared = 50
/** Characters of a block in which others are looked for. */
const maxComparable = 20_000
/** Characters between two neighbours (a heading, blank lines) that come with them. */
const maxGap = 200
/** Longer than nearly all tokens of any vocabulary, so that no text of so many characters for each fits. */
const charactersPerToken = 20

class Packing {
  readonly #options: PackOptions
  readonly #tools: PackTools
  readonly #blocks: Block[] = []
  #characters = 0
  #tokens = 0

  constructor(options: PackOptions, tools: PackTools) {
    this.#options = options
    this.#tools = tools
  }

  /** Whether there is room for more. */
  add(hit: Hit): boolean {
    const shared = this.#blocks.findIndex(
      ({ hits: [best] }) => hit.context !== undefined && best?.context === hit.context,
    )
    if (shared >= 0) {
      this.#blocks[shared] = withHit(this.#blocks[shared] as Block, hit)
      return true
    }
    const near = hit.context === undefined ? this.#blocks.filter((block) => isNear(block, hit)) : []
    const joined = near.length === 0 ? undefined : this.#join(near, hit)
    if (joined !== undefined) return this.#grow(near, joined)
    const plain = this.#measured([hit], shownText(hit))
    if (this.#isShown(plain)) return true
    const isWhole = this.#fits(plain.cost)
    const taken = isWhole ? plain : this.#cut(plain)
    if (taken !== undefined) {
      this.#count(taken)
      this.#blocks.push(taken)
    }
    return isWhole
  }

  sources(): Source[] {
    return this.#blocks.map(({ hits, span, text }, place) => {
      const [best] = hits as [Hit]
      const shown = shownText(best)
      const isPlain = shown.span.start === span.start && shown.span.end === span.end
      return {
        ...best,
        ...(isPlain ? {} : { context: { text, span } }),
        ...(hits.length === 1 ? {} : { passages: inDocumentOrder(hits) }),
        marker: place + 1,
      }
    })
  }

  #isShown({ comparable, place }: Block): boolean {
    if (comparable === '') return false
    return this.#blocks
      .slice(0, maxCompared)
      .some((block) => block.place === place && holdsWords(block.comparable, comparable))
  }

  /** What blocks of a document and a hit make together; `undefined` when the document has another version by now. */
  #join(near: readonly Block[], hit: Hit): Block | undefined {
    const parts = [...near, { hits: [hit], ...shownText(hit) }]
    const first = parts.reduce((one, other) => (other.span.start < one.span.start ? other : one))
    const start = first.span.start
    const end = Math.max(...parts.map(({ span }) => span.end))
    const text =
      parts.find(({ span }) => span.start === start && span.end === end)?.text ??
      this.#tools.namespace.text(hit.chunk.documentId, start, end)
    const isSame = parts.every(({ span, text: part }) => text.startsWith(part, span.start - start))
    if (!isSame || text.length !== end - start) return undefined
    return this.#measured(
      parts.flatMap(({ hits }) => hits),
      { text, span: { ...first.span, end } },
    )
  }

  /** Puts a larger block in the place of the first of those it was made of, as far as there is room. */
  #grow(near: readonly Block[], joined: Block): boolean {
    for (const block of near) this.#give(block)
    const isWhole = this.#fits(joined.cost)
    const [old] = near as [Block]
    // Between two blocks there is all or nothing: each of them is whole as it is.
    const grown = isWhole ? joined : near.length === 1 ? this.#grown(old, joined) : undefined
    if (grown === undefined) {
      for (const block of near) this.#count(block)
      return false
    }
    this.#count(grown)
    this.#blocks[this.#blocks.indexOf(old)] = grown
    for (const block of near.slice(1)) this.#blocks.splice(this.#blocks.indexOf(block), 1)
    return isWhole
  }

  /** As many whole sentences more as there is room for, towards the side on which the joined block is larger. */
  #grown(old: Block, joined: Block): Block | undefined {
    const before = old.span.start - joined.span.start
    const behind = joined.span.end - old.span.end
    if (before > 0 === behind > 0) return undefined
    const cut = this.#cutOptions()
    const from = before > 0 ? startOfFitting(joined.text, before, cut) : 0
    const to = behind > 0 ? endOfFitting(joined.text, old.text.length, cut) : joined.text.length
    return to - from === old.text.length ? undefined : this.#slice(joined, from, to)
  }

  #cut(block: Block): Block | undefined {
    const cut = this.#cutOptions()
    const sentences = endOfFitting(block.text, 0, cut)
    const end = sentences === 0 && this.#blocks.length === 0 ? endOfFittingWords(block.text, cut) : sentences
    return end === 0 ? undefined : this.#slice(block, 0, end)
  }

  #slice({ hits, span, text }: Block, from: number, to: number): Block {
    const start = span.start + from
    const inside = { ...pageAt(start, hits, span), start, end: span.start + to }
    return this.#measured(hits, { text: text.slice(from, to), span: inside })
  }

  #measured(hits: readonly Hit[], { span, text }: HitContext): Block {
    const tokens = this.#options.maxContextTokens === undefined ? 0 : this.#tools.countTokens(text)
    const comparable = text.length > maxComparable ? '' : normalised(text)
    return { hits, text, span, comparable, place: placeOf(hits), cost: { characters: text.length, tokens } }
  }

  #cutOptions(): CutOptions {
    const { maxContextChars, maxContextTokens = Number.POSITIVE_INFINITY } = this.#options
    const most = Math.min(maxContextChars - this.#characters, (maxContextTokens - this.#tokens) * charactersPerToken)
    const unlimited = maxContextTokens === Number.POSITIVE_INFINITY
    const tokensOf = (text: string): number => (unlimited ? 0 : this.#tools.countTokens(text))
    return { most, fits: (text) => this.#fits({ characters: text.length, tokens: tokensOf(text) }) }
  }

  #fits({ characters, tokens }: Cost): boolean {
    const { maxContextChars, maxContextTokens = Number.POSITIVE_INFINITY } = this.#options
    return this.#characters + characters <= maxContextChars && this.#tokens + tokens <= maxContextTokens
  }

  #count({ cost }: Block): void {
    this.#characters += cost.characters
    this.#tokens += cost.tokens
  }

  #give({ cost }: Block): void {
    this.#characters -= cost.characters
    this.#tokens -= cost.tokens
  }
}

function withHit(block: Block, hit: Hit): Block {
  return { ...block, hits: [...block.hits, hit] }
}

/**
 * Whether a passage overlaps a block or stands right beside one of its passages. A passage that lies between two others is never taken
 * along: a filter may have kept it out.
 */
function isNear({ hits, span }: Block, { chunk }: Hit): boolean {
  if (hits.some(({ context }) => context !== undefined)) return false
  if (hits[0]?.chunk.documentId !== chunk.documentId) return false
  if (chunk.span.start < span.end && span.start < chunk.span.end) return true
  const gap = Math.max(chunk.span.start - span.end, span.start - chunk.span.end)
  return gap <= maxGap && hits.some((other) => Math.abs(other.chunk.ordinal - chunk.ordinal) === 1)
}

/** The page on which a place is, where that is known: passages know the one on which they begin. */
function pageAt(place: number, hits: readonly Hit[], span: Span): Pick<Span, 'page'> {
  const holder = hits.find(({ chunk }) => place >= chunk.span.start && place < chunk.span.end)
  const { page } = holder?.chunk.span ?? span
  return page === undefined ? {} : { page }
}

function inDocumentOrder(hits: readonly Hit[]): Hit[] {
  return [...hits].sort((one, other) => one.chunk.span.start - other.chunk.span.start)
}

/** What a text stands under: the same words under another title say another thing. */
function placeOf([best]: readonly Hit[]): string {
  return best === undefined ? '' : JSON.stringify([best.chunk.title, best.chunk.headings])
}

/** Whether a text holds another one, from word to word. */
function holdsWords(text: string, words: string): boolean {
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    const around = `${text[at - 1] ?? ' '}${text[at + words.length] ?? ' '}`
    if (!/[\p{L}\p{N}]/u.test(around)) return true
  }
  return false
}

function normalised(text: string): string {
  return text
    .replace(/[\s\u00ad]+/gu, ' ')
    .trim()
    .toLowerCase()
}
