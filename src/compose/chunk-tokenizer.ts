import { defaults } from '../config/defaults.js'
import type { ResolvedChunker, ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import { openEmbeddingModel } from '../models/describe.js'
import { openStaticModel } from '../models/static-model.js'

type TokenChunker = Extract<ResolvedChunker, { kind: 'token' }>

/** What the token chunker counts with. */
interface ChunkTokenizer {
  /** Absolute folder. */
  readonly tokenizer: string
  readonly prefix: string
  readonly maxTokens: number
}

/** The tokenizer that was chosen, or that of the embedder, whose files are fetched when they are not here. */
export async function findTokenizer(
  { maxTokens, tokenizer }: TokenChunker,
  config: ResolvedConfig,
): Promise<ChunkTokenizer> {
  const { chunkTokens } = defaults
  if (tokenizer !== undefined) return { tokenizer, prefix: '', maxTokens: maxTokens ?? chunkTokens }
  const model = await openModel(config)
  if (maxTokens !== undefined && maxTokens > model.maxTokens) {
    throw new RagError('BAD_OPTION', `The model sees ${model.maxTokens} tokens; a chunk would have ${maxTokens}.`, {
      data: { option: 'chunker.maxTokens', model: model.name },
      hint: `Give chunker.maxTokens of ${model.maxTokens} at most, or raise the "maxTokens" of the embedder.`,
    })
  }
  return {
    tokenizer: model.directory,
    prefix: 'prefixes' in model ? model.prefixes.passage : '',
    maxTokens: maxTokens ?? Math.min(chunkTokens, model.maxTokens),
  }
}

function openModel({ embedder, logger }: ResolvedConfig) {
  if (embedder !== false && embedder.kind === 'onnx') return openEmbeddingModel({ ...embedder, logger })
  if (embedder !== false && embedder.kind === 'static') return openStatic(embedder)
  throw new RagError('BAD_OPTION', 'The embedder has no tokenizer to count with.', {
    data: { option: 'chunker.tokenizer' },
    hint: 'Give the folder of one: chunker: { kind: "token", tokenizer: "./model" }.',
  })
}

async function openStatic(embedder: Parameters<typeof openStaticModel>[0] & { readonly maxTokens?: number }) {
  const model = await openStaticModel(embedder)
  return { ...model, maxTokens: embedder.maxTokens ?? model.maxTokens }
}
