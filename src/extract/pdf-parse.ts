import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'
import { emptyError, toBlocks, toHeading } from './blocks.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/** Options of {@link createPdfParseExtractor}. */
export interface PdfParseExtractorOptions {
  /** Pages of one document at most; more is `LIMIT`. Default 20,000. */
  readonly maxPages?: number
  /** UTF-16 code units of text in one document at most; more is `LIMIT`. Default 200,000,000. */
  readonly maxDocumentUnits?: number
}
