import { RagError } from '../core/errors.js'
import { abortable } from '../util/abort.js'
import type { EnrichContext, Enricher, Enrichments } from './types.js'

/** Lines kept of one passage, and characters of all of them: what is added must not drown what is there. */
const limits = { lines: 20, characters: 2_000 }
const contexts: ReadonlySet<unknown> = new Set<EnrichContext>(['title', 'headings', 'language', 'around', 'beginning'])

/**
 * Believes nothing of an enricher: its capabilities and its answers are checked before anybody stores them. Lines are brought into one
 * form, and are at most 20 of 2,000 characters together for a passage; a list of another length, or of something else than lines, is
 * `BAD_INPUT`. An abort ends the call at once, even when the enricher does not listen. `close()` does nothing: the enricher belongs to whoever made it.
 */
export function createCheckedEnricher(enricher: Enricher): Enricher {
  const { id, fingerprint } = enricher
  return {
    id,
    fingerprint,
    capabilities: checkedCapabilities(enricher.capabilities),
    async enrich(passages, options) {
      const enriching = (async () => enricher.enrich(passages, options))()
      return checked(await abortable(enriching, options.signal), passages.length, id)
    },
    async close() {},
  }
}

/** The caller's may be JavaScript and leave them out, or say nonsense. */
function checkedCapabilities(given: Partial<Enricher['capabilities']> | undefined): Enricher['capabilities'] {
  const { batchSize, local, reads, scope } = given ?? {}
  return {
    scope: scope === 'part' ? 'part' : 'passage',
    reads: Array.isArray(reads) ? reads.filter((read) => contexts.has(read)) : [],
    batchSize: Number.isSafeInteger(batchSize) && (batchSize as number) > 0 ? (batchSize as number) : 1,
    ...(local === true ? { local } : {}),
  }
}

function checked(result: Enrichments, passages: number, id: string): Enrichments {
  const { lines, failed = [], passing = [] } = result ?? {}
  if (!Array.isArray(lines) || lines.length !== passages || !lines.every(isLines)) {
    throw new RagError('BAD_INPUT', `The enricher "${id}" did not return lines for ${passages} passages.`, {
      data: { enricher: id, passages, lines: Array.isArray(lines) ? lines.length : null },
      hint: 'enrich() resolves with { lines: a list of strings for each passage, failed }.',
    })
  }
  const failures = failed.filter(({ index }) => Number.isInteger(index) && index >= 0 && index < passages)
  const without = new Set(failures.map(({ index }) => index))
  return {
    lines: lines.map((some, place) => (without.has(place) ? [] : toLines(some))),
    failed: failures,
    ...passingOf(passing),
  }
}

function passingOf(given: unknown): Pick<Enrichments, 'passing'> {
  const passing = Array.isArray(given) ? given.filter(Number.isInteger) : []
  return passing.length === 0 ? {} : { passing }
}

function isLines(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((line) => typeof line === 'string')
}

/** Control characters, direction marks and what else is not seen; joiners stay, some scripts need them. */
const invisible =
  /[\x00-\x08\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu

/** Lines in the form in which they are stored: well-formed, on one line, without what nobody sees. */
function toLines(lines: readonly string[]): string[] {
  const kept: string[] = []
  let room = limits.characters
  for (const line of lines) {
    // Far more than can be kept is not even looked at.
    const clean = line
      .slice(0, 4 * limits.characters)
      .toWellFormed()
      .replace(invisible, '')
      .replace(/\s+/g, ' ')
      .trim()
    const cut =
      clean.length <= room
        ? clean
        : clean
            .slice(0, room)
            .replace(/[\ud800-\udbff]$/, '')
            .trimEnd()
    if (cut === '') continue
    kept.push(cut)
    room -= cut.length
    if (kept.length === limits.lines || room === 0) break
  }
  return kept
}
