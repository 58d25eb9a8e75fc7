import {
  anyText,
  type Contender,
  createTunedEmbedding,
  type FilledPassage,
  importPeer,
  type Transformers,
  topK,
  type Usage,
} from './contender.js'

interface LangDocument {
  readonly pageContent: string
  readonly metadata: Readonly<Record<string, unknown>>
}

interface Store {
  addDocuments(documents: readonly LangDocument[]): Promise<void>
  addVectors(vectors: readonly number[][], documents: readonly LangDocument[]): Promise<void>
  similaritySearch(question: string, topK: number): Promise<LangDocument[]>
}

interface Embeddings {
  embedDocuments(texts: string[]): Promise<number[][]>
  embedQuery(text: string): Promise<number[]>
}

interface Packages {
  readonly pdf: { readonly PDFLoader: new (path: string) => { load(): Promise<LangDocument[]> } }
  readonly splitters: {
    readonly RecursiveCharacterTextSplitter: new (options: {
      readonly chunkSize: number
      readonly chunkOverlap: number
    }) => { splitDocuments(documents: readonly LangDocument[]): Promise<LangDocument[]> }
  }
  readonly embeddings: {
    readonly HuggingFaceTransformersEmbeddings: new (options: {
      readonly model: string
      readonly pretrainedOptions: { readonly dtype: string; readonly device: 'cpu' }
    }) => Embeddings
  }
  readonly memory: { readonly MemoryVectorStore: new (embeddings: Embeddings) => Store }
  readonly hnswlib: {
    readonly HNSWLib: new (embeddings: Embeddings, options: { readonly space: 'cosine' }) => Store
  }
}

export const langchainPackages = [
  '@huggingface/transformers',
  '@langchain/classic/vectorstores/memory',
  '@langchain/community/document_loaders/fs/pdf',
  '@langchain/community/embeddings/huggingface_transformers',
  '@langchain/community/vectorstores/hnswlib',
  '@langchain/textsplitters',
]

/**
 * The loader, the recursive splitter, the embeddings and the memory store of the tutorial. Tuned: one text per pass or few of like length (the
 * batch of 512 that is the default pads every text to the longest), and HNSWLib instead of the list.
 */
export async function createLangchain(usage: Usage): Promise<Contender> {
  const { chunkOverlap, chunkSize, dtype, model, style } = usage
  const { env } = await importPeer<Transformers>(usage, '@huggingface/transformers')
  env.allowRemoteModels = false
  const name = (path: string) => importPeer(usage, path)
  const { PDFLoader } = (await name('@langchain/community/document_loaders/fs/pdf')) as Packages['pdf']
  const { RecursiveCharacterTextSplitter } = (await name('@langchain/textsplitters')) as Packages['splitters']
  const { HuggingFaceTransformersEmbeddings } = (await name(
    '@langchain/community/embeddings/huggingface_transformers',
  )) as Packages['embeddings']
  const embeddings = new HuggingFaceTransformersEmbeddings({ model, pretrainedOptions: { dtype, device: 'cpu' } })
  const tuned = createTunedEmbedding((texts) => embeddings.embedDocuments([...texts]))
  const store = await openStore()
  return {
    warmUp: async (sample) => {
      await embeddings.embedQuery(anyText)
      if (style === 'tuned') await tuned.tune(sample)
    },
    ingest: async (corpus) => {
      const documents: LangDocument[] = []
      if (corpus.kind === 'text') {
        for (const { id, text } of corpus.documents) documents.push({ pageContent: text, metadata: { source: id } })
      } else for (const file of corpus.files) documents.push(...(await new PDFLoader(file).load()))
      const splitter = new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap })
      const chunks = await splitter.splitDocuments(documents)
      const texts = () => chunks.map(({ pageContent }) => pageContent)
      if (style === 'docs') await store.addDocuments(chunks)
      else await store.addVectors(await tuned.embed(texts()), chunks)
      return { pages: documents.length, embedded: texts }
    },
    fill: (passages: readonly FilledPassage[]) =>
      store.addVectors(
        passages.map(({ vector }) => Array.from(vector)),
        passages.map(({ text }) => ({ pageContent: text, metadata: { source: 'filled' } })),
      ),
    ask: async (question) => {
      const found = await store.similaritySearch(question, topK)
      return found.map(({ metadata, pageContent }) => ({ source: String(metadata.source), text: pageContent }))
    },
    close: async () => {},
  }

  async function openStore(): Promise<Store> {
    if (style === 'tuned') {
      const { HNSWLib } = (await name('@langchain/community/vectorstores/hnswlib')) as Packages['hnswlib']
      return new HNSWLib(embeddings, { space: 'cosine' })
    }
    const { MemoryVectorStore } = (await name('@langchain/classic/vectorstores/memory')) as Packages['memory']
    return new MemoryVectorStore(embeddings)
  }
}
