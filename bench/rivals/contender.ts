import type { PeerCorpus, PeerPassage } from '../lib/peer-corpus.js'

/** Passages that a contender finds for a question. */
export const topK = 10

/** What takes part in a comparison: us, or another library, used in one certain way. */
export interface Contender {
  /** Loads the model and whatever else is loaded once. */
  warmUp(): Promise<void>
  /** Reads, cuts, embeds and stores a corpus. */
  ingest(corpus: PeerCorpus): Promise<Ingested>
  /** Stores passages whose vectors are there already. */
  fill(passages: readonly FilledPassage[]): Promise<void>
  /** After the last `fill`: waits for what goes on in the background. */
  settle?(): Promise<void>
  /** Embeds a question and finds {@link topK} passages, best first. */
  ask(question: string): Promise<readonly Found[]>
  close(): Promise<void>
}

export interface Ingested {
  readonly pages: number
  /** What was embedded, for its tokens to be counted. Or their number. */
  readonly embedded: readonly string[] | { readonly chunks: number; readonly tokens: number }
}

export interface FilledPassage {
  readonly text: string
  readonly vector: Float32Array
}

export interface Found {
  /** Name of the file, or id of the document. */
  readonly source: string
  readonly text: string
}

/** How a contender is used. */
export interface Usage {
  /** Folder of the model. */
  readonly model: string
  readonly dtype: 'fp32' | 'q8'
  /** Characters of a chunk and of what it repeats. */
  readonly chunkSize: number
  readonly chunkOverlap: number
  /** `docs`: as the library's documentation shows. `tuned`: as one does who has measured. */
  readonly style: 'docs' | 'tuned'
  /** Whether each chunk is embedded with what the library puts before it: ours title and headings, LlamaIndex.TS its metadata, others nothing. */
  readonly headings: boolean
  /** A folder that is empty. */
  readonly storage: string
  /** URL of a package, by its name as it is imported. */
  readonly packages: Readonly<Record<string, string>>
}

/** Imports a package of `bench/peers`, of which only what is used is declared. */
export async function importPeer<Module>({ packages }: Usage, name: string): Promise<Module> {
  const url = packages[name]
  if (url === undefined) throw new Error(`The package ${name} was not resolved for this contender.`)
  return (await import(url)) as Module
}

/** `@huggingface/transformers`, as far as it is used. */
export interface Transformers {
  readonly env: { allowRemoteModels: boolean }
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: { readonly dtype: string; readonly device: 'cpu' },
  ): Promise<Extract>
}

type Extract = (
  texts: string | readonly string[],
  options: { readonly pooling: 'mean'; readonly normalize: true },
) => Promise<{ readonly data: Float32Array; tolist(): number[][] }>

/** The model behind a function for one or many texts, as its own documentation shows. */
export async function loadModel(usage: Usage): Promise<(texts: readonly string[]) => Promise<number[][]>> {
  const { env, pipeline } = await importPeer<Transformers>(usage, '@huggingface/transformers')
  env.allowRemoteModels = false
  const extract = await pipeline('feature-extraction', usage.model, { dtype: usage.dtype, device: 'cpu' })
  return async (texts) => (await extract(texts, { pooling: 'mean', normalize: true })).tolist()
}

/** What is fastest on a processor: batches of few texts of like length, so that next to nothing is padding. */
const tunedBatch = 8

/** Texts by their length, shortest first, as places in the list. */
function placesByLength(texts: readonly string[]): number[] {
  return texts.map((_, place) => place).sort((one, other) => (texts[one]?.length ?? 0) - (texts[other]?.length ?? 0))
}

/** Embeds as one does who has measured; the vectors are in the order of the texts. */
export async function embedSorted(
  texts: readonly string[],
  embed: (texts: readonly string[]) => Promise<number[][]>,
): Promise<number[][]> {
  const places = placesByLength(texts)
  const vectors: number[][] = []
  for (let start = 0; start < places.length; start += tunedBatch) {
    const batch = places.slice(start, start + tunedBatch)
    const found = await embed(batch.map((place) => texts[place] ?? ''))
    for (const [i, place] of batch.entries()) vectors[place] = found[i] ?? []
  }
  return vectors
}

/** For those who read no files and cut no texts. */
export function passagesOf(corpus: PeerCorpus): readonly PeerPassage[] {
  if (corpus.kind === 'pdf') throw new Error('This contender reads no PDFs.')
  return corpus.passages
}
