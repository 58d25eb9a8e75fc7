import { readUntil, refuseEmpty } from './blocks.js'
import { decodeHtml } from './html-charset.js'
import { HtmlReader } from './html-reader.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/**
 * Reads HTML of any length and depth in bounded memory: what a reader of the page would see, a line per block element, the cells of
 * a table row separated by ` | `, `<pre>` as it is. Left out: scripts, styles, `<nav>`, `<svg>`, `<template>`, `<noscript>`, hidden
 * elements, and headers, footers and asides that are mostly links. Headings make the path. Nothing is fetched.
 *
 * Rejects with `EMPTY` when nothing is left, and with `LIMIT` for a single tag or comment above 16 Mi code units.
 */
export function createHtmlExtractor(): Extractor {
  return {
    id: 'html',
    fingerprint: 'html/1',
    mediaTypes: ['text/html'],
    extract: extractHtml,
  }
}

async function extractHtml(source: ExtractSource, { signal }: ExtractOptions): Promise<Extraction> {
  return readHtml(decodeHtml(source.stream()), { name: source.name, signal })
}

/** Reads HTML that is decoded already, as it lies inside of other documents. */
export async function readHtml(
  parts: AsyncIterable<string>,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<Extraction> {
  const reader = new HtmlReader(name)
  const reading = refuseEmpty(read(reader, parts, signal), name)
  const blocks = await readUntil(reading, () => reader.title !== undefined)
  const { title = reader.firstHeading, language } = reader
  return {
    ...(title === undefined ? {} : { title }),
    ...(language === undefined ? {} : { language }),
    blocks,
  }
}

async function* read(
  reader: HtmlReader,
  parts: AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  for await (const part of parts) {
    signal?.throwIfAborted()
    reader.write(part)
    yield* reader.take()
  }
  reader.end()
  yield* reader.take()
}
