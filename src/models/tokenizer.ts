import { WordPiece } from '../text/wordpiece.js'
import { createFramedTokenizer } from './framed-tokenizer.js'
import { openLibraryTokenizer } from './library-tokenizer.js'
import { readTokenizerFiles } from './tokenizer-files.js'
import type { Tokenizer } from './types.js'
import { readWordPiece } from './wordpiece-file.js'

/**
 * Opens the tokenizer in a model's folder: `tokenizer.json`, and what `tokenizer_config.json` and `special_tokens_map.json` say beside
 * it. BERT's WordPiece is read by our own implementation, every other one by the optional package `@huggingface/tokenizers`. The ids
 * are those of `@huggingface/transformers`, but for texts that are cut: there the closing special token is lost.
 *
 * Rejects with `NOT_FOUND` without a `tokenizer.json`, with `INTEGRITY` when a file is damaged, with `UNSUPPORTED` for a kind of
 * tokenizer that nobody here knows, with `MISSING_PEER` when the package is needed and not installed.
 */
export async function openTokenizer(directory: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(directory)
  const wordPiece = readWordPiece(files)
  if (wordPiece === undefined) return openLibraryTokenizer(files)
  const { options, before, after, pair } = wordPiece
  const model = new WordPiece(options)
  return createFramedTokenizer({
    append: (text, output, limit) => model.append(text, output, limit),
    before,
    after,
    pair,
    paddingId: files.paddingId,
    unknownId: options.unknownId,
    entries: () => model.entries(),
  })
}
