import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { loadRetrievalSet, type RetrievalQuery, sentencePassages } from './retrieval.js'

/** What a contender reads: PDF files, or texts, whole and cut into the passages that our sentence chunker makes of them. */
export type PeerCorpus =
  | { readonly kind: 'pdf'; readonly folder: string; readonly files: readonly string[] }
  | { readonly kind: 'text'; readonly documents: readonly PeerDocument[]; readonly passages: readonly PeerPassage[] }

interface PeerDocument {
  readonly id: string
  readonly text: string
}

export interface PeerPassage {
  readonly documentId: string
  readonly text: string
}

/** A corpus and questions to it. */
export interface LabelledCorpus<Question> {
  readonly corpus: PeerCorpus
  readonly questions: readonly Question[]
  /** Passages of it, from all over. */
  readonly sample: readonly string[]
}

/** The text of a file's pages. */
export type ReadPages = (path: string) => Promise<readonly string[]>

const sampled = 64

/** Pages of a paper that is taken in any case. */
const shortPaper = 12

/**
 * Papers of the measuring data, in an order that their names' hashes give, until they hold so many pages together. A question is eight words from
 * the middle of a page, found again when a hit of the same file contains six of them. Only words that every reader sees on the page are taken,
 * so that no contender is asked for what another's reader made of it.
 */
export async function choosePdfs(
  data: string,
  pages: number,
  [readPages, ...others]: readonly [ReadPages, ...ReadPages[]],
): Promise<LabelledCorpus<KnownItem> & { readonly pages: number }> {
  const folder = join(data, 'pdf', 'good')
  const all = readdirSync(folder).sort(byHash)
  const papers = all.filter((name) => name.startsWith('papers-we-love__'))
  const names = papers.length > 0 ? papers : all
  const cut = sentencePassages()
  const files: string[] = []
  const passages: string[] = []
  const questions: KnownItem[] = []
  let count = 0
  for (const name of names) {
    if (count >= pages) break
    const texts = await readPages(join(folder, name))
    // A long paper would be the whole corpus.
    if (texts.length > Math.max(shortPaper, pages / 2)) continue
    files.push(join(folder, name))
    count += texts.length
    const seenByOthers = await Promise.all(others.map((read) => read(join(folder, name))))
    for (const [page, text] of texts.entries()) {
      passages.push(...cut(text).map(({ start, end }) => text.slice(start, end)))
      const seen = seenByOthers.map((pages) => new Set(wordsOf(pages[page] ?? '')))
      const words = wordsOf(text).filter((word) => seen.every((theirs) => theirs.has(word)))
      if (words.length < 100) continue
      const from = Math.floor(words.length / 2)
      questions.push({ source: name, words: words.slice(from, from + 8) })
    }
  }
  return { corpus: { kind: 'pdf', folder, files }, questions, pages: count, sample: evenly(passages, sampled) }
}

function wordsOf(text: string): string[] {
  return (text.match(/[A-Za-z]{4,}/g) ?? []).map((word) => word.toLowerCase())
}

/** So many of the items, from all over. */
function evenly<Item>(items: readonly Item[], count: number): Item[] {
  const step = Math.max(1, items.length / count)
  return Array.from({ length: Math.min(count, items.length) }, (_, i) => items[Math.floor(i * step)] as Item)
}

/** A place in a file, by words that stand there. */
export interface KnownItem {
  /** Name of the file. */
  readonly source: string
  readonly words: readonly string[]
}

/** Sorts names in an order that has nothing to do with what they say. */
export function byHash(one: string, other: string): number {
  const hash = (name: string) => createHash('sha256').update(name).digest('hex')
  return hash(one) < hash(other) ? -1 : 1
}

/**
 * Documents of a labelled set, with the questions that they answer, up to so many characters; `undefined` when the measuring data is not
 * there. All documents that answer a question are there, so that nDCG can be told.
 */
export function chooseTexts(
  data: string,
  { set: name, characters }: { readonly set: string; readonly characters: number },
): LabelledCorpus<RetrievalQuery> | undefined {
  const set = loadRetrievalSet(data, name)
  if (set === undefined) return undefined
  const byId = new Map(set.documents.map((document) => [document.id, document]))
  const chosen = new Map<string, PeerDocument>()
  const questions: RetrievalQuery[] = []
  let length = 0
  for (const query of set.queries) {
    const answers = [...query.relevant.keys()].filter((id) => byId.has(id) && !chosen.has(id))
    const more = answers.reduce((sum, id) => sum + (byId.get(id)?.text.length ?? 0), 0)
    if (length + more > characters) continue
    for (const id of answers) chosen.set(id, { id, text: byId.get(id)?.text ?? '' })
    length += more
    questions.push(query)
  }
  const documents = [...chosen.values()]
  const cut = sentencePassages()
  const passages = documents.flatMap(({ id, text }) =>
    cut(text).map(({ start, end }) => ({ documentId: id, text: text.slice(start, end) })),
  )
  const texts = passages.map(({ text }) => text)
  return { corpus: { kind: 'text', documents, passages }, questions, sample: evenly(texts, sampled) }
}
