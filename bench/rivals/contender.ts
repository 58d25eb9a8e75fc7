import type { PeerCorpus, PeerPassage } from '../lib/peer-corpus.js'

/** Passages that a contender finds for a question. */
export const topK = 10

/** What takes part in a comparison: us, or another library, used in one certain way. */
export interface Contender {
  /** Loads the model and whatever else is loaded once. Who is tuned tries on the sample, passages of the corpus, what is fastest. */
  warmUp(sample: readonly string[]): Promise<void>
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
  /** What was embedded, for its tokens to be counted, or their number. Asked for once, before anything else, when the clock has stopped. */
  embedded(): readonly string[] | Promise<{ readonly chunks: number; readonly tokens: number }>
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
export async function loadModel(usage: Usage): Promise<Embed> {
  const { env, pipeline } = await importPeer<Transformers>(usage, '@huggingface/transformers')
  env.allowRemoteModels = false
  const extract = await pipeline('feature-extraction', usage.model, { dtype: usage.dtype, device: 'cpu' })
  return async (texts) => (await extract(texts, { pooling: 'mean', normalize: true })).tolist()
}

/** Texts in, vectors out, in the order of the texts. */
type Embed = (texts: readonly string[]) => Promise<number[][]>

/** Embeds as one does who has measured. */
export interface TunedEmbedding {
  /** Finds out whether single texts or batches are faster here. */
  tune(sample: readonly string[]): Promise<void>
  readonly embed: Embed
}

/** One text per pass, or few of like length, so that next to nothing is padding: which is faster differs by machine and model. */
const triedBatches = [1, 8] as const
const triedTexts = 64

export function createTunedEmbedding(embed: Embed): TunedEmbedding {
  let batch: number = triedBatches[0]
  return {
    tune: async (sample) => {
      const texts = sample.slice(0, triedTexts)
      if (texts.length === 0) return
      const times = new Map<number, number>()
      // There and back, so that neither gains by what the other has warmed up.
      for (const size of [...triedBatches, ...triedBatches.toReversed()]) {
        const began = performance.now()
        await embedSorted(texts, embed, size)
        times.set(size, (times.get(size) ?? 0) + performance.now() - began)
      }
      batch = [...times].reduce((best, one) => (one[1] < best[1] ? one : best))[0]
    },
    embed: (texts) => embedSorted(texts, embed, batch),
  }
}

async function embedSorted(texts: readonly string[], embed: Embed, batchSize: number): Promise<number[][]> {
  const places = placesByLength(texts)
  const vectors: number[][] = []
  for (let start = 0; start < places.length; start += batchSize) {
    const batch = places.slice(start, start + batchSize)
    const found = await embed(batch.map((place) => texts[place] ?? ''))
    for (const [i, place] of batch.entries()) vectors[place] = found[i] ?? []
  }
  return vectors
}

/** Texts by their length, shortest first, as places in the list. */
function placesByLength(texts: readonly string[]): number[] {
  return texts.map((_, place) => place).sort((one, other) => (texts[one]?.length ?? 0) - (texts[other]?.length ?? 0))
}

/** A text for those who try nothing out. */
export const anyText = 'A text, so that everything is loaded.'

/** For those who read no files and cut no texts. */
export function passagesOf(corpus: PeerCorpus): readonly PeerPassage[] {
  if (corpus.kind === 'pdf') throw new Error('This contender reads no PDFs.')
  return corpus.passages
}
