import { randomNumbers } from '../../src/testing/support.js'
import { loadRetrievalSet, type RetrievalSet, sentencePassages } from './retrieval.js'

/** The texts that embedders are compared on. */
export interface EmbeddingTexts {
  /** Sentences packed into 400 characters at most: what a good chunker hands over. */
  readonly chunks: readonly string[]
  /** Whole documents, from a line to many pages: what most libraries hand over. Models see their first 512 tokens. */
  readonly mixed: readonly string[]
  readonly questions: readonly string[]
}

const sets = ['cranfield', 'med', 'time', 'covidqa', 'product-docs', 'contextual-code']
/** A text that is cut anyway need not travel whole. */
const longestText = 20_000

/**
 * A seeded sample over six retrieval sets, chunks and questions the same share of each, documents as often as there are of each
 * (a mean of some 245 tokens of 512); `undefined` when the measuring data is not there.
 */
export function loadEmbeddingTexts(
  data: string | undefined,
  size: { readonly chunks: number; readonly mixed: number },
): EmbeddingTexts | undefined {
  const found = data === undefined ? [] : sets.map((name) => loadRetrievalSet(data, name))
  if (found.length === 0 || found.some((set) => set === undefined)) return undefined
  const present = found as RetrievalSet[]
  const cut = sentencePassages()
  const documents = present.map((set) => set.documents.filter(({ text }) => text.trim() !== ''))
  const chunks = documents.map((set) =>
    sample(set, size.chunks).flatMap(({ text }) => cut(text).map(({ start, end }) => text.slice(start, end))),
  )
  return {
    chunks: evenly(chunks, size.chunks),
    mixed: sample(documents.flat(), size.mixed).map(({ text }) => text.slice(0, longestText)),
    questions: evenly(
      present.map(({ queries }) => queries),
      600,
    ).map(({ text }) => text),
  }
}

/** `count` items in all, the same number of each list as far as it has them, in random order. */
function evenly<Item>(lists: readonly (readonly Item[])[], count: number): Item[] {
  const each = Math.ceil(count / lists.length)
  return sample(
    lists.flatMap((list) => sample(list, each)),
    count,
  )
}

function sample<Item>(items: readonly Item[], count: number): Item[] {
  const random = randomNumbers(20)
  const left = [...items]
  for (let place = 0; place < Math.min(count, left.length); place++) {
    const other = place + Math.floor(random() * (left.length - place))
    ;[left[place], left[other]] = [left[other] as Item, left[place] as Item]
  }
  return left.slice(0, count)
}
