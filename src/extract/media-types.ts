import { sourceLanguages } from './source-languages.js'

/** Formats that somebody reads: those of the catalogue, and PDF. */
export type FormatName = keyof typeof formats | 'code'

const office = 'application/vnd.openxmlformats-officedocument'

/** Media types of the formats, the usual one first. PDF is chosen by an option of its own. */
const formats = {
  text: ['text/plain'],
  markdown: ['text/markdown'],
  html: ['text/html'],
  csv: ['text/csv', 'text/tab-separated-values'],
  json: ['application/json', 'application/x-ndjson'],
  docx: [`${office}.wordprocessingml.document`],
  xlsx: [`${office}.spreadsheetml.sheet`],
  pptx: [`${office}.presentationml.presentation`],
  epub: ['application/epub+zip'],
  email: ['message/rfc822'],
} as const

/** Media types of a format, lower case, without parameters. */
export function mediaTypesOf(format: FormatName): readonly string[] {
  return format === 'code' ? sourceLanguages.map(({ mediaType }) => mediaType) : formats[format]
}

/** Media types the built-in extractors read. */
export const readableMediaTypes: ReadonlySet<string> = new Set([
  'application/pdf',
  ...Object.values(formats).flat(),
  ...mediaTypesOf('code'),
])

/** Whether a media type is of something written in letters, as opposed to a format that only programs read. */
export function isTextType(mediaType: string): boolean {
  return mediaType.startsWith('text/') || writtenTypes.has(mediaType)
}

const writtenTypes: ReadonlySet<string> = new Set([...formats.json, ...formats.email])

/** Media types by name ending, for what is read and for what would come out as noise. Any other ending claims nothing. */
export const typesByEnding: ReadonlyMap<string, string> = new Map([
  ['md', 'text/markdown'],
  ['markdown', 'text/markdown'],
  ['mdx', 'text/markdown'],
  ['html', 'text/html'],
  ['htm', 'text/html'],
  ['xhtml', 'text/html'],
  ['txt', 'text/plain'],
  ['csv', 'text/csv'],
  ['tsv', 'text/tab-separated-values'],
  ['tab', 'text/tab-separated-values'],
  ['json', 'application/json'],
  ['geojson', 'application/json'],
  ['jsonld', 'application/json'],
  ['ipynb', 'application/json'],
  ['jsonl', 'application/x-ndjson'],
  ['ndjson', 'application/x-ndjson'],
  ['pdf', 'application/pdf'],
  ['docx', `${office}.wordprocessingml.document`],
  ['docm', `${office}.wordprocessingml.document`],
  ['dotx', `${office}.wordprocessingml.document`],
  ['xlsx', `${office}.spreadsheetml.sheet`],
  ['xlsm', `${office}.spreadsheetml.sheet`],
  ['pptx', `${office}.presentationml.presentation`],
  ['pptm', `${office}.presentationml.presentation`],
  ['ppsx', `${office}.presentationml.presentation`],
  ['odt', 'application/vnd.oasis.opendocument.text'],
  ['epub', 'application/epub+zip'],
  ['rtf', 'application/rtf'],
  ['zip', 'application/zip'],
  ['gz', 'application/gzip'],
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
  ['svg', 'image/svg+xml'],
  ['eml', 'message/rfc822'],
  ['mbox', 'application/mbox'],
  ...sourceLanguages.flatMap(({ endings, mediaType }) => endings.map((ending) => [ending, mediaType] as const)),
])

/** Other names of media types. */
export const typeAliases: ReadonlyMap<string, string> = new Map([
  ['application/xhtml+xml', 'text/html'],
  ['text/x-markdown', 'text/markdown'],
  ['application/x-pdf', 'application/pdf'],
  ['application/csv', 'text/csv'],
  ['text/x-csv', 'text/csv'],
  ['text/comma-separated-values', 'text/csv'],
  ['text/tsv', 'text/tab-separated-values'],
  ['text/json', 'application/json'],
  ['application/ld+json', 'application/json'],
  ['application/geo+json', 'application/json'],
  ['application/jsonl', 'application/x-ndjson'],
  ['application/ndjson', 'application/x-ndjson'],
  ['application/jsonlines', 'application/x-ndjson'],
  ['application/x-jsonlines', 'application/x-ndjson'],
  ['application/javascript', 'text/javascript'],
  ['application/x-javascript', 'text/javascript'],
  ['application/typescript', 'text/x-typescript'],
  ['text/typescript', 'text/x-typescript'],
  ['application/sql', 'text/x-sql'],
  ['application/x-sh', 'text/x-shellscript'],
  ['application/x-httpd-php', 'text/x-php'],
  ...['xml', 'yaml', 'x-yaml', 'toml'].map((name) => [`application/${name}`, 'text/plain'] as const),
])
