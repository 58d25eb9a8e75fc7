import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  anyText,
  type Contender,
  createTunedEmbedding,
  importPeer,
  loadModel,
  type Transformers,
  topK,
  type Usage,
} from './contender.js'

interface Node {
  readonly text: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly excludedEmbedMetadataKeys?: readonly string[]
  embedding?: readonly number[]
  /** What is embedded of it: its metadata, line by line, and its text. */
  getContent?(mode: 'EMBED'): string
}

interface Embedding {
  getTextEmbedding(text: string): Promise<number[]>
}

/** What an embedding model of one's own is made of: texts in batches, one text per pass unless it says otherwise. */
interface OwnEmbedding extends Embedding {
  embedBatchSize: number
  getTextEmbeddings: (texts: readonly string[]) => Promise<number[][]>
}

/** An embedding model of it can be called with nodes, which then carry their vectors. */
type EmbedNodes = (nodes: readonly Node[]) => Promise<unknown>

interface Index {
  readonly vectorStores: Readonly<Record<string, { embedModel: EmbedNodes }>>
  insertNodes(nodes: readonly Node[]): Promise<void>
  asRetriever(options: { readonly similarityTopK: number }): {
    retrieve(query: { readonly query: string }): Promise<{ readonly node: Node }[]>
  }
}

interface Main {
  readonly BaseEmbedding: new () => OwnEmbedding
  readonly Settings: { embedModel: Embedding; nodeParser: Splitter }
  readonly SentenceSplitter: new (options: { readonly chunkSize: number; readonly chunkOverlap: number }) => Splitter
  readonly Document: new (options: Node) => Node
  readonly TextNode: new (options: Node) => Node
  readonly VectorStoreIndex: {
    fromDocuments(documents: readonly Node[]): Promise<Index>
    init(options: { readonly nodes: readonly Node[] }): Promise<Index>
  }
}

interface Splitter {
  getNodesFromDocuments(documents: readonly Node[]): Node[]
}

interface Pdf {
  readonly PDFReader: new () => { loadDataAsContent(bytes: Uint8Array): Promise<Node[]> }
}

interface Hugging {
  readonly HuggingFaceEmbedding: new (options: {
    readonly modelType: string
    readonly modelOptions: { readonly dtype: string; readonly device: 'cpu' }
  }) => Embedding
}

export const llamaindexPackages = [
  '@huggingface/transformers',
  '@llamaindex/huggingface',
  '@llamaindex/readers/pdf',
  'llamaindex',
]

/** Characters of a token, by which its splitter counts. */
const charactersPerToken = 4

/**
 * `VectorStoreIndex.fromDocuments` with its splitter, its Hugging Face embeddings and its memory store. It embeds one text per pass, with
 * its metadata if headings are asked for. Tuned: an embedding model of one's own that takes all texts at once and sorts them.
 */
export async function createLlamaindex(usage: Usage): Promise<Contender> {
  const { chunkOverlap, chunkSize, dtype, headings, model, style } = usage
  const { env } = await importPeer<Transformers>(usage, '@huggingface/transformers')
  env.allowRemoteModels = false
  const main = await importPeer<Main>(usage, 'llamaindex')
  const { Document, SentenceSplitter, Settings, TextNode, VectorStoreIndex } = main
  const { PDFReader } = await importPeer<Pdf>(usage, '@llamaindex/readers/pdf')
  const tuned = style === 'tuned' ? createTunedEmbedding(await loadModel(usage)) : undefined
  if (tuned !== undefined) Settings.embedModel = sortingEmbedding(main, tuned.embed)
  else {
    const { HuggingFaceEmbedding } = await importPeer<Hugging>(usage, '@llamaindex/huggingface')
    Settings.embedModel = new HuggingFaceEmbedding({ modelType: model, modelOptions: { dtype, device: 'cpu' } })
  }
  const splitter = new SentenceSplitter({
    chunkSize: Math.round(chunkSize / charactersPerToken),
    chunkOverlap: Math.round(chunkOverlap / charactersPerToken),
  })
  Settings.nodeParser = splitter
  // Its nodes embed their metadata unless they are told not to.
  const excludedEmbedMetadataKeys = headings ? [] : ['source']
  let index: Index | undefined

  /** Puts nodes into the index, their vectors made by a function of ours. */
  async function insert(nodes: readonly Node[], embedNodes: EmbedNodes): Promise<void> {
    index ??= await VectorStoreIndex.init({ nodes: [] })
    const stores = Object.values(index.vectorStores)
    const before = stores.map(({ embedModel }) => embedModel)
    for (const store of stores) store.embedModel = embedNodes
    await index.insertNodes(nodes)
    for (const [place, store] of stores.entries()) store.embedModel = before[place] as EmbedNodes
  }

  return {
    warmUp: async (sample) => {
      await Settings.embedModel.getTextEmbedding(anyText)
      await tuned?.tune(sample)
    },
    ingest: async (corpus) => {
      const documents: Node[] = []
      if (corpus.kind === 'text') {
        for (const { id, text } of corpus.documents)
          documents.push(new Document({ text, metadata: { source: id }, excludedEmbedMetadataKeys }))
      } else {
        for (const file of corpus.files) {
          const pages = await new PDFReader().loadDataAsContent(await readFile(file))
          documents.push(
            ...pages.map(
              ({ text }) => new Document({ text, metadata: { source: basename(file) }, excludedEmbedMetadataKeys }),
            ),
          )
        }
      }
      index = await VectorStoreIndex.fromDocuments(documents)
      // Cut once more, to count what it has cut and embedded itself.
      const embedded = () =>
        splitter.getNodesFromDocuments(documents).map((node) => node.getContent?.('EMBED') ?? node.text)
      return { pages: documents.length, embedded }
    },
    fill: (passages) => {
      const nodes = passages.map(({ text }) => new TextNode({ text, metadata: { source: 'filled' } }))
      return insert(nodes, async () => {
        for (const [place, node] of nodes.entries()) node.embedding = Array.from(passages[place]?.vector ?? [])
      })
    },
    ask: async (question) => {
      const found = (await index?.asRetriever({ similarityTopK: topK }).retrieve({ query: question })) ?? []
      return found.map(({ node }) => ({ source: String(node.metadata.source), text: node.text }))
    },
    close: async () => {},
  }
}

/** All nodes of an ingest come in one call. */
function sortingEmbedding({ BaseEmbedding }: Main, embed: (texts: readonly string[]) => Promise<number[][]>) {
  class SortingEmbedding extends BaseEmbedding {
    override embedBatchSize = Number.MAX_SAFE_INTEGER
    // What it is given is emptied after the call.
    override getTextEmbeddings = (texts: readonly string[]) => embed([...texts])
    override async getTextEmbedding(text: string): Promise<number[]> {
      return (await embed([text]))[0] ?? []
    }
  }
  return new SortingEmbedding()
}
