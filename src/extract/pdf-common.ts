import { RagError } from '../core/errors.js'

/** Throws `BAD_OPTION` for a limit that is not a whole number above zero. */
export function checkLimits(limits: Readonly<Record<string, number>>): void {
  for (const [name, limit] of Object.entries(limits)) {
    if (Number.isSafeInteger(limit) && limit > 0) continue
    throw new RagError('BAD_OPTION', `The option "${name}" of the PDF extractor is not a whole number above zero.`)
  }
}

/** Text of a page without control characters, ending its last line, so that words of two pages do not run together; `''` for none. */
export function cleanPageText(raw: string): string {
  const text = raw.replace(/[\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/g, '').toWellFormed()
  return text.trim() === '' ? '' : `${text.trimEnd()}\n\n`
}

/** The password is missing (`withPassword` false) or wrong. */
export function encryptedPdf(name: string, withPassword: boolean): RagError {
  const problem = withPassword ? 'the password is wrong' : 'needs a password'
  return new RagError('ENCRYPTED', `"${name}" is encrypted and ${problem}.`, {
    data: { name, reason: withPassword ? 'wrong-password' : 'missing-password' },
    hint: withPassword ? 'Give the right "password".' : 'Give the "password" with the document.',
  })
}

/** The file is no PDF, or too damaged; `problem` completes "cannot be read: ...". */
export function corruptPdf(
  name: string,
  problem: string,
  { cause, ...data }: Readonly<Record<string, unknown>> = {},
): RagError {
  return new RagError('CORRUPT', `"${name}" cannot be read: ${problem}.`, {
    data: { name, ...data },
    ...(cause === undefined ? {} : { cause }),
    hint: 'Open it in a PDF viewer; if that works, save a copy ("print to PDF") and give the copy.',
  })
}

/** Those who read it together do not see the same document. */
export function changedPdf(name: string): RagError {
  return new RagError('CORRUPT', `"${name}" changed while it was read.`, {
    data: { name },
    hint: 'Ingest it again when it is no longer written to.',
    retryable: true,
  })
}

/** Every page was read and there is no text, but something is drawn. */
export function noTextInPdf(name: string, pages: number): RagError {
  return new RagError('NO_TEXT', `"${name}" shows something on its pages, but holds no text.`, {
    data: { name, pages },
    hint: 'It is probably a scan: run OCR (for example "ocrmypdf IN OUT") and give the result.',
  })
}

/** More pages than `maxPages`. */
export function tooManyPages(name: string, pages: number, maxPages: number): RagError {
  return new RagError('LIMIT', `"${name}" says it has ${pages} pages; the limit is ${maxPages}.`, {
    data: { name, pages, maxPages },
    hint: 'Raise "maxPages" of the PDF extractor, or split the file.',
  })
}

/** More text, by `page`, than the option called `option` allows. */
export function tooMuchText(
  name: string,
  data: { readonly option: string; readonly limit: number; readonly page: number },
) {
  return new RagError('LIMIT', `"${name}" holds more text than is allowed, at page ${data.page}.`, {
    data: { name, ...data },
    hint: `Raise "${data.option}" of the PDF extractor.`,
  })
}
