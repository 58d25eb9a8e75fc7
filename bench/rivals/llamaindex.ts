import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Contender, embedSorted, importPeer, loadModel, type Transformers, topK, type Usage } from './contender.js'

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
 * its metadata if headings are asked for. Tuned: batches of texts of like length, never with metadata.
 */
export async function createLlamaindex(usage: Usage): Promise<Contender> {
  const { chunkOverlap, chunkSize, dtype, headings, model, style } = usage
  const { env } = await importPeer<Transformers>(usage, '@huggingface/transformers')
  env.allowRemoteModels = false
  const { Document, SentenceSplitter, Settings, TextNode, VectorStoreIndex } = await importPeer<Main>(
    usage,
    'llamaindex',
  )
  const { HuggingFaceEmbedding } = await importPeer<Hugging>(usage, '@llamaindex/huggingface')
  const { PDFReader } = await importPeer<Pdf>(usage, '@llamaindex/readers/pdf')
  Settings.embedModel = new HuggingFaceEmbedding({ modelType: model, modelOptions: { dtype, device: 'cpu' } })
  const splitter = new SentenceSplitter({
    chunkSize: Math.round(chunkSize / charactersPerToken),
    chunkOverlap: Math.round(chunkOverlap / charactersPerToken),
  })
  Settings.nodeParser = splitter
  const embed = style === 'tuned' ? await loadModel(usage) : undefined
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
    warmUp: async () => {
      await Settings.embedModel.getTextEmbedding('A text, so that everything is loaded.')
      await embed?.(['A text, so that everything is loaded.'])
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
      const nodes = splitter.getNodesFromDocuments(documents)
      if (embed === undefined) index = await VectorStoreIndex.fromDocuments(documents)
      else {
        await insert(nodes, async () => {
          const vectors = await embedSorted(
            nodes.map(({ text }) => text),
            embed,
          )
          for (const [place, node] of nodes.entries()) node.embedding = vectors[place] ?? []
        })
      }
      const whole = (node: Node) => (embed === undefined ? node.getContent?.('EMBED') : undefined)
      return { pages: documents.length, embedded: nodes.map((node) => whole(node) ?? node.text) }
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
