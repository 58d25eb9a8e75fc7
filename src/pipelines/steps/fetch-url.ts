import { RagError } from '../../core/errors.js'
import type { UrlReader, UrlValidators } from '../../extract/types.js'
import type { StoreNamespace } from '../../store/types.js'
import type { Discovered } from './discover.js'
import type { PassageEmbedder } from './passage-embedder.js'
import { type PlanOptions, planDocument } from './plan-document.js'
import type { Verify } from './write-document.js'

export interface FetchUrlOptions extends PlanOptions {
  readonly urls: UrlReader | undefined
  readonly namespace: StoreNamespace
  readonly passages: PassageEmbedder | undefined
  readonly verify?: Verify | undefined
  readonly signal: AbortSignal
}

/** A document that was read from the web, or `'unchanged'` when the server says that it is what is stored. */
export async function fetchUrl(
  url: string,
  { namespace, passages, signal, urls, verify = 'stamp', ...options }: FetchUrlOptions,
): Promise<Extract<Discovered, { kind: 'object' }> | 'unchanged'> {
  if (urls === undefined) throw refusedUrl(url)
  const stored = namespace.get(url)
  // Planned as it was read the last time, when nearly always the server had told its media type.
  const probe = toObject(url, new Uint8Array(), stored && { mediaType: stored.mediaType })
  const pipeline = planDocument(probe, options).pipeline(passages?.embedder)
  // Read by another pipeline, even the same bytes would become something else.
  const known = stored?.pipeline === pipeline && verify === 'stamp' ? stored.file?.validators : undefined
  const fetched = await urls.read(url, { known, signal })
  if (fetched === 'unchanged') return 'unchanged'
  return toObject(url, fetched.bytes, fetched)
}

function toObject(
  url: string,
  data: Uint8Array,
  { mediaType, validators = {} }: { readonly mediaType?: string; readonly validators?: UrlValidators } = {},
): Extract<Discovered, { kind: 'object' }> {
  const input = { id: url, data, ...(mediaType === undefined ? {} : { mediaType }) }
  return { kind: 'object', source: url, input, file: { size: data.length, mtimeMs: 0, inode: 0, validators } }
}

function refusedUrl(url: string): RagError {
  // Without what may be secret in it: a password, a query.
  const { origin, pathname } = URL.canParse(url) ? new URL(url) : { origin: 'http:', pathname: '' }
  const shown = `${origin}${pathname}`.slice(0, 200)
  return new RagError('UNSUPPORTED', `"${shown}" is a URL; documents are read from files and memory only.`, {
    data: { url: shown },
    hint: 'Set allowUrls: true (see docs/urls.md), or download it yourself and pass { id, data, mediaType }.',
  })
}
