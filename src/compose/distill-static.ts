import type { DistillOptions, DistillReport } from '../embed/distill/distill.js'
import type { OnnxEmbedderOptions } from '../embed/onnx/onnx.js'
import type { Embedder } from '../embed/types.js'

/**
 * Turns any embedder into a static model: its vector of every token of a vocabulary, brought down to fewer values by principal
 * components and weighted by frequency, as model2vec does it (https://github.com/MinishLab/model2vec, `distill`). The result is a
 * folder in the format of model2vec, which model2vec and sentence-transformers of Python read, too. Two things differ, because any
 * embedder can be the teacher: it is asked in text, so a piece that continues a word (`##ing`) is taught as its letters; and what it
 * returns is of length 1.
 *
 * The teacher is an embedder, which stays open, or options of the onnx embedder (`{ model: 'all-MiniLM-L6-v2' }`), which is opened
 * and closed here. It embeds some 30,000 short texts for a vocabulary of BERT's size. Its vectors are held once (tokens x dimensions
 * x 4 bytes), in memory shared with the thread that reduces them.
 *
 * Rejects with `BAD_OPTION`, `UNSUPPORTED` (a tokenizer that is not WordPiece), what the teacher rejects with, `PROVIDER` when it
 * embeds nothing, `STORAGE` or `STORAGE_FULL`.
 *
 * @example
 * await distillStatic({ model: 'all-MiniLM-L6-v2' }, { out: './fast' })
 * const rag = new UltraFastRAG({ embedder: { kind: 'static', model: './fast' } })
 */
export async function distillStatic(
  teacher: Embedder | OnnxEmbedderOptions,
  options: DistillOptions,
): Promise<DistillReport> {
  // Whoever imports the library to search does not load what distills.
  const { distill } = await import('../embed/distill/distill.js')
  if ('embed' in teacher) return distill(teacher, options)
  const { openEmbeddingModel } = await import('../models/describe.js')
  const { createOnnxEmbedder } = await import('../embed/onnx/onnx.js')
  const { directory } = await openEmbeddingModel(teacher)
  const embedder = await createOnnxEmbedder(teacher)
  try {
    return await distill(embedder, { tokenizer: directory, ...options })
  } finally {
    await embedder.close()
  }
}
