import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createSentenceChunker } from '../../src/chunk/sentence.js'
import type { Chunker, Section } from '../../src/chunk/types.js'
import { RagError } from '../../src/core/errors.js'
import type { Embedder, Embeddings } from '../../src/embed/types.js'
import { createFunctionEnricher } from '../../src/enrich/function.js'
import type { Enricher, Enrichments, EnrichPassage } from '../../src/enrich/types.js'
import { createHtmlExtractor } from '../../src/extract/html.js'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import { createTextExtractor } from '../../src/extract/text.js'
import type { Block, Extractor } from '../../src/extract/types.js'
import { createBm25Index } from '../../src/lexical-index/bm25.js'
import type { LexicalDocumentPart, LexicalIndex, LexicalResult, LexicalUpdate } from '../../src/lexical-index/types.js'
import { createExtractiveLlm } from '../../src/llm/extractive.js'
import type { Llm, Prompt } from '../../src/llm/types.js'
import { createInProcessQueue } from '../../src/queue/in-process.js'
import type { JobHandler, JobQueue } from '../../src/queue/types.js'
import type { RerankCandidate, RerankedMatch, Reranker, RerankRequest } from '../../src/rerank/types.js'
import {
  chunkerConformance,
  createFakeEmbedder,
  createFakeReranker,
  createScriptedLlm,
  embedderConformance,
  enricherConformance,
  extractorConformance,
  jobQueueConformance,
  lexicalIndexConformance,
  llmConformance,
  type RegisterTest,
  rerankerConformance,
  vectorIndexConformance,
} from '../../src/testing/index.js'
import { createFlatIndex } from '../../src/vector-index/flat.js'
import type { VectorIndex, VectorMatch, VectorUpdate } from '../../src/vector-index/types.js'
import { makePdf } from '../unit/extract/helpers.js'

/** What is broken, the beginning of the test that must see it, and how: some members of a sound adapter, replaced. */
type Breakage<Port> = readonly [what: string, test: string, members: (sound: Port) => Partial<Port>]

/** Runs, of a suite over a broken adapter, the one test that must see it. */
async function outcomeOf(register: (it: RegisterTest) => void, name: string): Promise<'passed' | 'failed'> {
  const tests = new Map<string, () => Promise<void>>()
  const collect = (test: string, run: () => Promise<void>) => tests.set(test, run)
  register(Object.assign(collect, { skip: () => {} }))
  const found = [...tests].filter(([test]) => test.startsWith(name))
  expect(found.length).toBe(1)
  const [[, run]] = found as [[string, () => Promise<void>]]
  return run().then(
    () => 'passed',
    () => 'failed',
  )
}

/** The adapter with some members replaced; the others keep their `this`. */
function withMembers<Port extends object>(sound: Port, members: Partial<Port>): Port {
  return new Proxy(sound, {
    get: (target, key) => {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function sees<Port>(
  breakages: readonly Breakage<Port>[],
  register: (it: RegisterTest, broken: Breakage<Port>[2]) => void,
): void {
  it.each(breakages)('%s: "%s"', async (_what, test, members) => {
    // The same adapter in the same wrapper, with nothing replaced.
    expect(await outcomeOf((collect) => register(collect, () => ({})), test)).toBe('passed')
    expect(await outcomeOf((collect) => register(collect, members), test)).toBe('failed')
  })
}

describe('the suite of vector indexes sees an index that', () => {
  const breakages: readonly Breakage<VectorIndex>[] = [
    ['counts one that is not there', 'is empty', (sound) => ({ stats: () => ({ ...sound.stats(), vectors: 1 }) })],
    ['never comes to rest', 'is at rest', (sound) => ({ stats: () => ({ ...sound.stats(), building: true }) })],
    ['gives distances', 'finds what a plain scan', (sound) => changed(sound, (score) => 1 - score)],
    ['gives worst first', 'finds what a plain scan', (sound) => listed(sound, (found) => found.toReversed())],
    [
      'misses the nearest',
      'finds what a plain scan',
      (sound) => ({
        search: async (vector, options) =>
          (await sound.search(vector, { ...options, topK: options.topK + 1 })).slice(1),
      }),
    ],
    [
      'orders ties backwards',
      'orders equal scores',
      (sound) => listed(sound, (found) => found.toSorted((a, b) => b.score - a.score || b.number - a.number)),
    ],
    [
      'filters what it has found',
      'finds as many',
      (sound) => ({
        search: async (vector, { topK, allow }) =>
          (await sound.search(vector, { topK })).filter(({ number }) => allow?.has(number) ?? true),
      }),
    ],
    [
      'takes an empty filter for none',
      'finds as many',
      (sound) => ({
        search: (vector, { topK, allow }) =>
          sound.search(vector, { topK, ...(allow === undefined || allow.size === 0 ? {} : { allow }) }),
      }),
    ],
    [
      'finds one at least',
      'finds as many',
      (sound) => ({
        search: (vector, options) => sound.search(vector, { ...options, topK: Math.max(1, options.topK) }),
      }),
    ],
    [
      'keeps the older of two',
      'replaces a number',
      (sound) => {
        const known = new Set<number>()
        return updated(sound, (update) => ({
          add: async (numbers, vectors) => {
            if (numbers.some((number) => known.has(number))) return
            for (const number of numbers) known.add(number)
            await update.add(numbers, vectors)
          },
        }))
      },
    ],
    [
      'removes the end of a range too',
      'removes ranges',
      (sound) =>
        updated(sound, (update) => ({
          remove: (ranges) => update.remove(ranges.map(([start, end]) => [start, end + 1] as const)),
        })),
    ],
    [
      'cuts numbers to 32 bits',
      'keeps numbers apart',
      (sound) =>
        updated(sound, (update) => ({
          add: (numbers, vectors) =>
            update.add(
              numbers.map((number) => number >>> 0),
              vectors,
            ),
        })),
    ],
    [
      'takes NaN for 0',
      'refuses unusable',
      (sound) =>
        updated(sound, (update) => ({
          add: (numbers, vectors) =>
            update.add(
              numbers,
              vectors.map((value) => (Number.isFinite(value) ? value : 0)),
            ),
        })),
    ],
    [
      'changes something before it refuses',
      'refuses unusable',
      (sound) =>
        updated(sound, (update) => ({
          add: async (numbers, vectors) => {
            if (vectors.length !== numbers.length * sound.dimensions) return update.add(numbers, vectors)
            for (const [row, number] of numbers.entries()) {
              await update.add([number], vectors.slice(row * sound.dimensions, (row + 1) * sound.dimensions))
            }
          },
        })),
    ],
    [
      'divides by the length of zero vectors',
      'scores zero vectors',
      (sound) => ({
        search: async (vector, options) => {
          const found = await sound.search(vector, options)
          return Math.hypot(...vector) > 0 ? found : found.map(({ number }) => ({ number, score: Number.NaN }))
        },
      }),
    ],
    [
      'borrows vectors',
      'keeps its own copy',
      (sound) =>
        updated(sound, (update) => {
          const later: (() => Promise<void>)[] = []
          return {
            add: async (numbers, vectors) => void later.push(() => update.add(numbers, vectors)),
            publish: async (epoch) => {
              for (const add of later.splice(0)) await add()
              await update.publish(epoch)
            },
          }
        }),
    ],
    [
      'stops after a failure',
      'takes the steps of an update',
      (sound) =>
        updated(sound, (update) => {
          let chain: Promise<unknown> = Promise.resolve()
          return {
            add: (numbers, vectors) => {
              const added = chain.then(() => update.add(numbers, vectors))
              chain = added
              return added
            },
          }
        }),
    ],
    [
      'removes what comes after',
      'takes the steps of an update',
      (sound) =>
        updated(sound, (update) => {
          const later: Parameters<VectorUpdate['remove']>[0][] = []
          return {
            remove: (ranges) => void later.push(ranges),
            publish: (epoch) => {
              for (const ranges of later) update.remove(ranges)
              return update.publish(epoch)
            },
          }
        }),
    ],
    [
      'shows what is staged',
      'shows what is staged',
      (sound) => ({
        update: () => {
          let update = sound.update()
          return {
            add: async (numbers, vectors) => {
              await update.add(numbers, vectors)
              await update.publish(sound.epoch)
              update = sound.update()
            },
            remove: (ranges) => update.remove(ranges),
            publish: (epoch) => update.publish(epoch),
            abort: () => update.abort(),
          }
        },
      }),
    ],
    [
      'forgets its epoch',
      'shows what is staged',
      (sound) => updated(sound, (update) => ({ publish: () => update.publish(sound.epoch) })),
    ],
    [
      'publishes what was aborted',
      'shows what is staged',
      (sound) => {
        let aborted: VectorUpdate | undefined
        return {
          update: () => {
            const update = aborted ?? sound.update()
            aborted = undefined
            return withMembers(update, {
              abort: () => {
                aborted = update
              },
              publish: (epoch) => update.publish(epoch),
            })
          },
        }
      },
    ],
    [
      'lets two update at once',
      'has one update',
      (sound) => ({
        update: () => {
          try {
            return sound.update()
          } catch {
            return { add: async () => {}, remove: () => {}, publish: async () => {}, abort: () => {} }
          }
        },
      }),
    ],
    [
      'publishes removals first',
      'shows every search',
      (sound) => {
        const publish = async (fill: (update: VectorUpdate) => void | Promise<void>, epoch: number) => {
          const update = sound.update()
          await fill(update)
          await update.publish(epoch)
          await new Promise(setImmediate)
        }
        return {
          update: () => {
            let removed: Parameters<VectorUpdate['remove']>[0] = []
            const added: Parameters<VectorUpdate['add']>[] = []
            return {
              remove: (ranges) => {
                removed = ranges
              },
              add: async (...batch) => void added.push(batch),
              publish: async (epoch) => {
                await publish((update) => update.remove(removed), epoch)
                await publish(async (update) => {
                  for (const batch of added) await update.add(...batch)
                }, epoch)
              },
              abort: () => {},
            }
          },
        }
      },
    ],
    [
      'does not look at the signal',
      'gives up a search',
      (sound) => ({ search: (vector, { signal: _, ...options }) => sound.search(vector, options) }),
    ],
    [
      'finds nothing while it is updated',
      'gives searches true scores',
      (sound) => {
        let adding = 0
        return {
          ...updated(sound, (update) => ({
            add: async (numbers, vectors) => {
              adding++
              await update.add(numbers, vectors).finally(() => adding--)
            },
          })),
          search: async (vector, options) => (adding > 0 ? [] : sound.search(vector, options)),
        }
      },
    ],
    ['answers by chance', 'gives the same answer', (sound) => changed(sound, (score) => score + Math.random() * 1e-7)],
    ['does not count its bytes', 'counts its bytes', (sound) => ({ stats: () => ({ ...sound.stats(), bytes: 0 }) })],
    ['works on when it is closed', 'refuses everything after close', () => ({ close: async () => {} })],
    ['closes once', 'refuses everything after close', (sound) => ({ close: once(() => sound.close()) })],
  ]
  sees(breakages, (collect, members) =>
    vectorIndexConformance(collect, {
      create: async (options) => {
        const sound = createFlatIndex({ ...options, fingerprint: 'test' })
        return withMembers(sound, members(sound))
      },
      reopen: { skip: 'it lives in memory' },
    }),
  )

  function listed(sound: VectorIndex, change: (found: VectorMatch[]) => VectorMatch[]): Partial<VectorIndex> {
    return { search: async (vector, options) => change(await sound.search(vector, options)) }
  }

  function changed(sound: VectorIndex, change: (score: number) => number): Partial<VectorIndex> {
    return listed(sound, (found) => found.map(({ number, score }) => ({ number, score: change(score) })))
  }

  function updated(sound: VectorIndex, members: (update: VectorUpdate) => Partial<VectorUpdate>): Partial<VectorIndex> {
    return {
      update: () => {
        const update = sound.update()
        return withMembers(update, members(update))
      },
    }
  }
})

describe('the suite of lexical indexes sees an index that', () => {
  const root = mkdtempSync(join(tmpdir(), 'ufrag-broken-'))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  let made = 0

  const breakages: readonly Breakage<LexicalIndex>[] = [
    ['keeps unknown terms to itself', 'is empty', (sound) => answered(sound, (one) => ({ ...one, terms: [] }))],
    ['never comes to rest', 'is at rest', (sound) => ({ stats: () => ({ ...sound.stats(), building: true }) })],
    [
      'has no titles',
      'finds passages',
      (sound) =>
        updated(sound, (update) => ({
          add: (part) => update.add({ ...part, title: '' }),
        })),
    ],
    [
      'takes the first part only',
      'numbers the passages',
      (sound) =>
        updated(sound, (update) => {
          const seen = new Set<number>()
          return {
            add: async (part) => {
              if (!seen.has(part.base)) await update.add(part)
              seen.add(part.base)
            },
          }
        }),
    ],
    [
      'publishes what is aborted',
      'shows what is staged',
      (sound) =>
        updated(sound, (update) => ({
          abort: () => void update.publish(1).catch(() => {}),
        })),
    ],
    ['forgets its epoch', 'shows what is staged', () => ({ epoch: 0 })],
    [
      'lends one update to two',
      'has one update',
      (sound) => {
        const update = sound.update()
        return { update: () => update }
      },
    ],
    [
      'removes before it adds',
      'replaces a document',
      (sound) => ({
        update: () => {
          const parts: LexicalDocumentPart[] = []
          const ranges: (readonly [number, number])[] = []
          return {
            add: async (part) => void parts.push(part),
            remove: (more) => void ranges.push(...more),
            abort: () => {},
            publish: async (epoch) => {
              const first = sound.update()
              first.remove(ranges)
              await first.publish(epoch)
              await new Promise((resolve) => setTimeout(resolve, 2))
              const second = sound.update()
              for (const part of parts) await second.add(part)
              await second.publish(epoch)
            },
          }
        },
      }),
    ],
    ['removes nothing', 'removes any numbers', (sound) => updated(sound, () => ({ remove: () => {} }))],
    [
      'finds the best few only',
      'agrees with a list',
      (sound) => answered(sound, (one) => ({ ...one, matches: one.matches.slice(0, 4) })),
    ],
    [
      'orders ties backwards',
      'orders by score',
      (sound) =>
        answered(sound, (one) => ({
          ...one,
          matches: one.matches.toSorted((a, b) => b.score - a.score || b.number - a.number),
        })),
    ],
    [
      'filters what it has found',
      'finds as many',
      (sound) => ({
        search: async (text, { allow, ...options }) => {
          const { matches, terms } = await sound.search(text, options)
          return { matches: matches.filter(({ number }) => allow?.has(number) ?? true), terms }
        },
      }),
    ],
    [
      'takes an empty filter for none',
      'finds as many',
      (sound) => ({
        search: (text, { allow, ...options }) =>
          sound.search(text, allow === undefined || allow.size === 0 ? options : { ...options, allow }),
      }),
    ],
    [
      'has no documents',
      'lets the whole document',
      (sound) => ({
        search: (text, options) => sound.search(text, { ...options, documentWeight: 0 }),
      }),
    ],
    [
      'takes a weight of 0 for none given',
      'lets the whole document',
      (sound) => ({
        search: (text, options) => sound.search(text, { ...options, documentWeight: options.documentWeight || 0.5 }),
      }),
    ],
    [
      'has another rarity',
      'tells how rare',
      (sound) =>
        answered(sound, (one) => ({
          ...one,
          terms: one.terms.map((term) => ({ ...term, idf: term.idf / Math.LN2 })),
        })),
    ],
    [
      'finds all for nothing',
      'finds nothing for a question',
      (sound) => ({
        search: (text, options) => sound.search(text.trim() === '' ? 'zebra' : text, options),
      }),
    ],
    [
      'reads ASCII only',
      'reads any script',
      (sound) => ({
        search: (text, options) => sound.search(text.replace(/[^ -~]/g, ''), options),
      }),
    ],
    [
      'cuts numbers to 32 bits',
      'keeps numbers apart',
      (sound) =>
        updated(sound, (update) => ({
          add: (part) => update.add({ ...part, base: part.base >>> 0 }),
        })),
    ],
    [
      'borrows bytes',
      'keeps its own copy',
      (sound) =>
        updated(sound, (update) => {
          const parts: LexicalDocumentPart[] = []
          return {
            add: async (part) => void parts.push(part),
            publish: async (epoch) => {
              for (const part of parts) await update.add(part)
              await update.publish(epoch)
            },
          }
        }),
    ],
    [
      'swallows foreign bytes',
      'fails the update',
      (sound) =>
        updated(sound, (update) => ({
          publish: (epoch) => update.publish(epoch).catch(() => {}),
        })),
    ],
    ['works on when it is closed', 'refuses everything after close', () => ({ close: async () => {} })],
    ['does not persist', 'is after persist()', () => ({ persist: async () => {} })],
    [
      'persists unasked',
      'is after persist()',
      (sound) => ({
        close: async () => {
          await sound.persist()
          await sound.close()
        },
      }),
    ],
  ]
  sees(breakages, (collect, members) => {
    const directories = new Map<LexicalIndex, string>()
    const open = async (directory: string): Promise<LexicalIndex> => {
      const sound = await createBm25Index({ directory })
      const broken = withMembers<LexicalIndex>(sound, members(sound))
      directories.set(broken, directory)
      return broken
    }
    lexicalIndexConformance(collect, {
      create: () => open(join(root, `index-${made++}`)),
      reopen: (closed) => open(directories.get(closed) ?? ''),
    })
  })

  function answered(sound: LexicalIndex, change: (result: LexicalResult) => LexicalResult): Partial<LexicalIndex> {
    return { search: async (text, options) => change(await sound.search(text, options)) }
  }

  function updated(
    sound: LexicalIndex,
    members: (update: LexicalUpdate) => Partial<LexicalUpdate>,
  ): Partial<LexicalIndex> {
    return {
      update: () => {
        const update = sound.update()
        return withMembers(update, members(update))
      },
    }
  }
})

describe('the suite of embedders sees an embedder that', () => {
  let made = 0
  const breakages: readonly Breakage<Embedder>[] = [
    ['has another fingerprint every time', 'tells what it is', () => ({ fingerprint: `fake/${made++}` })],
    ['has one fingerprint for all options', 'changes its fingerprint', () => ({ fingerprint: 'fake' })],
    ['does not scale', 'gives a row of unit length', (sound) => rows(sound, (row) => row.map((value) => value * 2))],
    [
      'turns the rows around',
      'gives a row of unit length',
      (sound) => ({
        embed: (texts, options) => sound.embed(texts.toReversed(), options),
      }),
    ],
    ['embeds all alike', 'gives one text one vector', (sound) => rows(sound, (row) => row.fill(0).fill(1, 0, 1))],
    [
      'looks at its neighbours',
      'gives one text one vector',
      (sound) => ({
        embed: (texts, options) =>
          sound.embed(
            texts.map((text) => `${text} ${texts.length}`.repeat(1)),
            options,
          ),
      }),
    ],
    [
      'embeds questions elsewhere',
      'puts a text nearer',
      (sound) => ({
        embed: async (texts, options) => {
          const result = await sound.embed(texts, options)
          return options.kind === 'query' ? { ...result, vectors: result.vectors.toReversed() } : result
        },
      }),
    ],
    [
      'wants a text at least',
      'takes no text',
      (sound) => ({
        embed: async (texts, options) => {
          if (texts.length === 0) throw new RagError('BAD_INPUT', 'No texts.')
          return sound.embed(texts, options)
        },
      }),
    ],
    [
      'embeds one batch only',
      'takes more texts',
      (sound) => ({
        embed: async (texts, options) => {
          const vectors = new Float32Array(texts.length * sound.dimensions)
          const result = await sound.embed(texts.slice(0, sound.capabilities.batchSize), options)
          vectors.set(result.vectors)
          return { ...result, vectors }
        },
      }),
    ],
    [
      'fails as a whole',
      'reports a text',
      (sound) =>
        embedded(sound, (result) => {
          for (const { error } of result.failed) throw error
          return result
        }),
    ],
    ['hides failures', 'reports a text', (sound) => embedded(sound, (result) => ({ ...result, failed: [] }))],
    [
      'fills failed rows',
      'reports a text',
      (sound) =>
        embedded(sound, (result) => {
          for (const { index } of result.failed) result.vectors[index * sound.dimensions] = 1
          return result
        }),
    ],
    [
      'makes NaN of empty texts',
      'embeds or reports any text',
      (sound) =>
        embedded(sound, (result) => {
          for (const { index } of result.failed) result.vectors[index * sound.dimensions] = Number.NaN
          return { ...result, failed: [] }
        }),
    ],
    [
      'uses one buffer again',
      'gives every call its own',
      (sound) => {
        const buffer = new Float32Array(1 << 20)
        return embedded(sound, (result) => {
          buffer.set(result.vectors)
          return { ...result, vectors: buffer.subarray(0, result.vectors.length) }
        })
      },
    ],
    [
      'does not hear of aborts',
      'stops soon',
      (sound) => ({ embed: (texts, { kind }) => sound.embed(texts, { kind }) }),
    ],
    [
      'hears of aborts at the beginning only',
      'stops soon',
      (sound) => ({
        embed: async (texts, { kind, signal }) => {
          signal?.throwIfAborted()
          await new Promise((resolve) => setTimeout(resolve, 20))
          return sound.embed(texts, { kind })
        },
      }),
    ],
    ['closes once', 'closes before first use', (sound) => ({ close: once(() => sound.close()) })],
  ]
  sees(breakages, (collect, members) => {
    const create = async (dimensions: number) => {
      const sound = createFakeEmbedder({ dimensions })
      return withMembers(sound, members(sound))
    }
    embedderConformance(collect, {
      create: () => create(64),
      createOther: () => create(32),
      unembeddable: ['', ' \n'],
      minCosine: 1,
    })
  })

  function embedded(sound: Embedder, change: (result: Embeddings) => Embeddings): Partial<Embedder> {
    return { embed: async (texts, options) => change(await sound.embed(texts, options)) }
  }

  function rows(sound: Embedder, change: (row: Float32Array) => Float32Array): Partial<Embedder> {
    return embedded(sound, (result) => {
      for (let start = 0; start < result.vectors.length; start += sound.dimensions) {
        const row = result.vectors.subarray(start, start + sound.dimensions)
        row.set(change(row.slice()))
      }
      return result
    })
  }
})

describe('the suite of models sees a model that', () => {
  const breakages: readonly Breakage<Llm>[] = [
    ['answers in one part', 'streams an answer', (sound) => said(sound, (parts) => [parts.join('')])],
    [
      'cites nothing',
      'streams an answer',
      (sound) => said(sound, (parts) => parts.map((part) => part.replace(/\[1\]/, ''))),
    ],
    ['cites what is not there', 'streams an answer', (sound) => said(sound, (parts) => [...parts, ' [9]'])],
    ['answers everything', 'streams nothing', (sound) => said(sound, (parts) => [...parts, 'I do not know.'])],
    [
      'counts sources itself',
      'cites the source',
      (sound) => said(sound, (parts) => parts.map((part) => part.replaceAll('[7]', '[1]'))),
    ],
    [
      'escapes nothing',
      'cites the source',
      (sound) => said(sound, (parts) => parts.map((part) => part.replaceAll('\\[', '['))),
    ],
    ['invents', 'says nothing about', (sound) => said(sound, (parts) => [...parts, 'Something [1].'])],
    [
      'changes the prompt',
      'leaves the prompt',
      (sound) => ({
        generate: (prompt, options) => sound.generate(Object.assign(prompt, { question: prompt.question }), options),
      }),
    ],
    [
      'mixes up answers',
      'keeps answers apart',
      (sound) => {
        let latest: Prompt | undefined
        return {
          generate: async function* (prompt, options) {
            latest = prompt
            await new Promise((resolve) => setImmediate(resolve))
            yield* sound.generate(latest, options)
          },
        }
      },
    ],
    [
      'does not hear of aborts',
      'stops when it is aborted before',
      (sound) => ({
        generate: (prompt) => sound.generate(prompt, {}),
      }),
    ],
    ['ends quietly when it is aborted', 'stops when it is aborted before', (sound) => quiet(sound)],
    ['ends quietly when it is aborted', 'stops when it is aborted while', (sound) => quiet(sound)],
    [
      'cannot be asked twice',
      'can be left',
      (sound) => {
        let asked = 0
        return { generate: (prompt, options) => (asked++ < 3 ? sound.generate(prompt, options) : nothing()) }
      },
    ],
    [
      'throws before it is read',
      'throws failures',
      () => ({
        generate: () => {
          throw new Error('At once.')
        },
      }),
    ],
    [
      'swallows failures',
      'throws failures',
      (sound) => ({
        generate: async function* (prompt, options) {
          try {
            yield* sound.generate(prompt, options)
          } catch {
            // This is what is broken.
          }
        },
      }),
    ],
    [
      'tells its end twice',
      'tells at most once',
      (sound) => ({
        generate: async function* (prompt, options) {
          yield* sound.generate(prompt, options)
          for (let time = 0; time < 2; time++) options.onEnd?.({})
        },
      }),
    ],
    [
      'tells its end at once',
      'tells at most once',
      (sound) => ({
        generate: async function* (prompt, options) {
          options.onEnd?.({})
          yield* sound.generate(prompt, options)
        },
      }),
    ],
    [
      'counts nonsense',
      'tells at most once',
      (sound) => ({
        generate: async function* (prompt, options) {
          yield* sound.generate(prompt, options)
          options.onEnd?.({ outputTokens: Number.NaN })
        },
      }),
    ],
    [
      'tells its end too late',
      'tells at most once',
      (sound) => ({
        generate: async function* (prompt, options) {
          yield* sound.generate(prompt, options)
          setImmediate(() => options.onEnd?.({}))
        },
      }),
    ],
    ['closes once', 'closes before first use', (sound) => ({ close: once(() => sound.close()) })],
  ]
  sees(breakages, (collect, members) => {
    const failure = new Error('The model is gone.')
    const brokenBy = (sound: Llm) => withMembers(sound, members(sound))
    llmConformance(collect, {
      create: async () => brokenBy(createExtractiveLlm()),
      createFailing: async () => ({ llm: brokenBy(createScriptedLlm(['a', failure])), error: failure }),
    })
  })

  function said(sound: Llm, change: (parts: readonly string[]) => readonly string[]): Partial<Llm> {
    return {
      generate: async function* (prompt, options) {
        const parts: string[] = []
        for await (const part of sound.generate(prompt, options)) parts.push(part)
        yield* change(parts)
      },
    }
  }

  function quiet(sound: Llm): Partial<Llm> {
    return {
      generate: async function* (prompt, { signal }) {
        for await (const part of sound.generate(prompt, {})) {
          if (signal?.aborted) return
          yield part
        }
      },
    }
  }

  async function* nothing(): AsyncGenerator<string> {}
})

describe('the suite of rerankers sees a reranker that', () => {
  const listed =
    (change: (matches: readonly RerankedMatch[], request: RerankRequest) => readonly RerankedMatch[]) =>
    (sound: Reranker): Partial<Reranker> => ({
      rerank: async (request, options) => change(await sound.rerank(request, options), request),
    })
  let calls = 0
  const breakages: readonly Breakage<Reranker>[] = [
    ['has no name', 'tells what it is', () => ({ id: '' })],
    ['does not say what it compares', 'tells what it is', () => ({ capabilities: {} as never })],
    ['gives worst first', 'gives back candidates', listed((matches) => matches.toReversed())],
    ['gives one twice', 'gives back candidates', listed((matches) => [...matches.slice(0, 1), ...matches])],
    ['invents one', 'gives back candidates', listed((matches) => [{ number: -1, score: 2 }, ...matches])],
    ['forgets one that is wanted', 'gives back candidates', listed((matches) => matches.slice(1))],
    [
      'gives no numbers',
      'gives back candidates',
      listed((matches) => matches.map(({ number }) => ({ number, score: Number.NaN }))),
    ],
    [
      'does not read the question',
      'puts what answers',
      listed((_, { candidates }) => candidates.map(({ number }, place) => ({ number, score: -place }))),
    ],
    [
      'has moods',
      'gives the same order',
      listed((matches) => {
        const order = calls++ % 2 === 0 ? matches : matches.toReversed()
        return order.map(({ number }, place) => ({ number, score: -place }))
      }),
    ],
    [
      'orders equals backwards',
      'keeps the order of candidates',
      listed((matches) => matches.toSorted((a, b) => b.score - a.score || b.number - a.number)),
    ],
    ['makes up one where there is none', 'takes no candidates', listed(() => [{ number: 0, score: 0 }])],
    [
      'stumbles over an empty text',
      'takes any text',
      (sound) => ({
        rerank: async (request, options) => {
          if (request.candidates.some(({ text }) => text === '')) throw new Error('no text')
          return sound.rerank(request, options)
        },
      }),
    ],
    [
      'looks at the first five',
      'takes more candidates',
      (sound) => ({
        rerank: ({ candidates, ...request }, options) =>
          sound.rerank({ ...request, candidates: candidates.slice(0, 5) }, options),
      }),
    ],
    [
      'sorts what it is given',
      'leaves the request alone',
      (sound) => ({
        rerank: (request, options) => {
          const candidates = request.candidates as RerankCandidate[]
          candidates.sort((a, b) => b.number - a.number)
          return sound.rerank(request, options)
        },
      }),
    ],
    [
      'keeps the question for the next one',
      'keeps requests apart',
      (sound) => {
        let question: string | undefined
        return {
          rerank: async (request, options) => {
            const asked = question ?? request.question
            question = request.question
            await new Promise((resolve) => setImmediate(resolve))
            return sound.rerank({ ...request, question: asked }, options)
          },
        }
      },
    ],
    ['does not listen', 'stops when it is aborted', (sound) => ({ rerank: (request) => sound.rerank(request, {}) })],
    [
      'fails to load when it is asked twice',
      'loads ahead',
      () => {
        let asked = 0
        return {
          warmUp: async () => {
            if (asked++ > 0) throw new Error('at it already')
          },
        }
      },
    ],
    [
      'cannot be closed twice',
      'closes before first use',
      () => {
        let closed = false
        return {
          close: async () => {
            if (closed) throw new Error('closed')
            closed = true
          },
        }
      },
    ],
  ]
  sees(breakages, (collect, members) =>
    rerankerConformance(collect, {
      create: async () => {
        const sound = createFakeReranker()
        return withMembers<Reranker>(sound, members(sound))
      },
    }),
  )
})

describe('the suite of chunkers sees a chunker that', () => {
  let made = 0
  const spansOf = (sound: Chunker, section: Section) => Promise.resolve(sound.chunk(section))
  const breakages: readonly Breakage<Chunker>[] = [
    ['has one fingerprint for all options', 'tells what it is', () => ({ fingerprint: 'one' })],
    ['has another fingerprint every time', 'tells what it is', () => ({ fingerprint: `chunker/${made++}` })],
    [
      'makes a chunk of white space',
      'gives no chunk',
      (sound) => ({
        chunk: ({ text, whole }) =>
          text.trim() === '' ? [{ start: 0, end: text.length }] : sound.chunk({ text, whole }),
      }),
    ],
    [
      'does not trim',
      'cuts any text',
      (sound) => ({
        chunk: async (section) =>
          (await spansOf(sound, section)).map(({ start, end }) => ({ start: Math.max(0, start - 1), end })),
      }),
    ],
    [
      'loses the end',
      'cuts any text',
      (sound) => ({ chunk: async (section) => (await spansOf(sound, section)).slice(0, -1) }),
    ],
    [
      'comes backwards',
      'cuts any text',
      (sound) => ({ chunk: async (section) => (await spansOf(sound, section)).toReversed() }),
    ],
    [
      'counts from the end of white space',
      'cuts any text',
      (sound) => ({
        chunk: ({ text, whole }) => sound.chunk({ text: text.trimStart(), whole }),
      }),
    ],
    ['makes one chunk of all', 'cuts any text', () => ({ chunk: ({ text }) => slices(text, text.length) })],
    ['cuts every 29 code units', 'cuts between grapheme', () => ({ chunk: ({ text }) => slices(text, 29) })],
    ['does not cut what has no place to', 'cuts a cluster', () => ({ chunk: ({ text }) => slices(text, text.length) })],
    [
      'knows no whole stretches',
      'keeps stretches whole',
      (sound) => ({ chunk: ({ text }) => sound.chunk({ text, whole: [] }) }),
    ],
    [
      'remembers',
      'is pure',
      (sound) => {
        let calls = 0
        return { chunk: async (section) => (await spansOf(sound, section)).slice(calls++ > 12 ? 1 : 0) }
      },
    ],
    [
      'changes the section',
      'is pure',
      (sound) => ({
        chunk: (section) => sound.chunk(Object.assign(section, { text: section.text })),
      }),
    ],
  ]
  sees(breakages, (collect, members) =>
    chunkerConformance(collect, {
      create: (options) => {
        const sound = createSentenceChunker(options)
        return withMembers(sound, members(sound))
      },
    }),
  )

  it('takes any option: "refuses options"', async () => {
    const create = () => createSentenceChunker({ chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 })
    expect(await outcomeOf((collect) => chunkerConformance(collect, { create }), 'refuses options')).toBe('failed')
  })

  function slices(text: string, length: number) {
    const spans = []
    for (let start = 0; start < text.length; start += length) {
      const part = text.slice(start, start + length)
      const end = start + part.trimEnd().length
      const begin = start + part.length - part.trimStart().length
      if (begin < end) spans.push({ start: begin, end })
    }
    return spans
  }
})

describe('the suite of extractors sees an extractor that', async () => {
  let made = 0
  const encrypted = {
    bytes: await makePdf(['secret'], { userPassword: 'hunter2' }),
    password: 'hunter2',
    text: 'secret',
  }
  const html: readonly Breakage<Extractor>[] = [
    ['has another fingerprint every time', 'tells what it is', () => ({ fingerprint: `x/${made++}` })],
    ['reads a type by no name', 'tells what it is', () => ({ mediaTypes: ['Text/HTML; charset=utf-8'] })],
    ['repeats a block', 'gives every paragraph', (sound) => blocks(sound, (block) => [block, block])],
    [
      'makes blocks of no kind',
      'gives every paragraph',
      (sound) => blocks(sound, (block) => [{ ...block, kind: 'prose' as 'text' }]),
    ],
    [
      'turns back pages',
      'gives large documents',
      (sound) => {
        let page = 1_000
        return blocks(sound, (block) => [{ ...block, page: page-- }])
      },
    ],
    [
      'cuts characters',
      'reads every script',
      (sound) =>
        blocks(sound, ({ text, ...block }) =>
          [...Array(text.length).keys()].map((place) => ({ ...block, text: text.charAt(place) })),
        ),
    ],
    [
      'knows one block only',
      'gives large documents',
      (sound) => ({
        extract: async (source, options) => {
          const list = await readBlocks((await sound.extract(source, options)).blocks)
          return { blocks: stream([{ kind: 'text', text: list.map(({ text }) => text).join('') }]) }
        },
      }),
    ],
    [
      'decodes part by part',
      'gives the same',
      (sound) => ({
        extract: (source, options) =>
          sound.extract(
            {
              ...source,
              stream: async function* () {
                for await (const part of source.stream()) yield new TextEncoder().encode(new TextDecoder().decode(part))
              },
            },
            options,
          ),
      }),
    ],
    [
      'writes into the bytes',
      'gives the same',
      (sound) => ({
        extract: (source, options) =>
          sound.extract(
            {
              ...source,
              stream: async function* () {
                for await (const part of source.stream()) {
                  yield part.slice()
                  part.fill(32)
                }
              },
            },
            options,
          ),
      }),
    ],
    [
      'shares its state',
      'reads several documents',
      (sound) => {
        let text = ''
        return {
          extract: async (source, options) => {
            const { blocks } = await sound.extract(source, options)
            return {
              blocks: (async function* () {
                text = ''
                for await (const block of blocks) text += block.text
                yield { kind: 'text' as const, text }
              })(),
            }
          },
        }
      },
    ],
    [
      'calls nothing a success',
      'calls no bytes EMPTY',
      (sound) => ({
        extract: async (source, options) => {
          try {
            return { blocks: stream(await readBlocks((await sound.extract(source, options)).blocks)) }
          } catch {
            // This is what is broken.
            return { blocks: stream([]) }
          }
        },
      }),
    ],
    [
      'does not hear of aborts',
      'stops when it is aborted',
      (sound) => ({
        extract: (source, { maxFileBytes }) => sound.extract(source, { maxFileBytes }),
      }),
    ],
    [
      'leaves its source open',
      'ends what it has opened',
      (sound) => ({
        extract: async (source, options) => {
          const { blocks } = await sound.extract(source, options)
          const iterator = blocks[Symbol.asyncIterator]()
          return { blocks: { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) } }
        },
      }),
    ],
    [
      'takes a failure for the end',
      'passes on what the source fails',
      (sound) => ({
        extract: (source, options) =>
          sound.extract(
            {
              ...source,
              stream: async function* () {
                try {
                  yield* source.stream()
                } catch {
                  // This is what is broken.
                }
              },
            },
            options,
          ),
      }),
    ],
    [
      'reads all first',
      'gives the first block long before',
      (sound) => ({
        extract: async (source, options) => ({
          blocks: stream(await readBlocks((await sound.extract(source, options)).blocks)),
        }),
      }),
    ],
    [
      'throws what it likes',
      'reads a damaged document',
      (sound) => ({
        extract: async (source, options) => {
          const list = await readBlocks((await sound.extract(source, options)).blocks)
          if (!list.some(({ text }) => text.includes('classified'))) throw new TypeError('odd')
          return { blocks: stream(list) }
        },
      }),
    ],
    [
      'tells what it has read',
      'reads a damaged document',
      (sound) => ({
        extract: async (source, options) => {
          const list = await readBlocks((await sound.extract(source, options)).blocks)
          const text = list.map((block) => block.text).join('')
          if (!text.includes('Paragraph 1 0. word0x0')) throw new RagError('CORRUPT', `Odd: ${text} classified`)
          return { blocks: stream(list) }
        },
      }),
    ],
  ]
  sees(html, (collect, members) => {
    const skip = { skip: 'not asked' }
    extractorConformance(collect, {
      create: () => {
        const sound = createHtmlExtractor()
        return withMembers(sound, members(sound))
      },
      document: (paragraphs) => new TextEncoder().encode(paragraphs.map((text) => `<p>${text}</p>\n`).join('')),
      corrupt: skip,
      encrypted: skip,
    })
  })

  const pdf: readonly Breakage<Extractor>[] = [
    [
      'holds any file',
      'refuses files above maxFileBytes',
      (sound) => ({
        extract: (source, options) => sound.extract(source, { ...options, maxFileBytes: 1 << 30 }),
      }),
    ],
    [
      'reads anything as text',
      'calls what it cannot read',
      () => ({
        extract: (source, options) => createTextExtractor().extract(source, options),
      }),
    ],
    [
      'needs no password',
      'opens an encrypted',
      (sound) => ({
        extract: (source, options) => sound.extract({ ...source, password: 'hunter2' }, options),
      }),
    ],
    [
      'tells the password',
      'opens an encrypted',
      (sound) => ({
        extract: async (source, options) => {
          try {
            return await sound.extract(source, options)
          } catch {
            throw new RagError('ENCRYPTED', `"${source.password}" is not "hunter2".`)
          }
        },
      }),
    ],
  ]
  sees(pdf, (collect, members) =>
    extractorConformance(collect, {
      create: () => {
        const sound = createPdfExtractor()
        return withMembers(sound, members(sound))
      },
      document: makePdf,
      streaming: { skip: 'read whole' },
      corrupt: [new TextEncoder().encode('no PDF')],
      encrypted,
    }),
  )

  function blocks(sound: Extractor, change: (block: Block) => readonly Block[]): Partial<Extractor> {
    return {
      extract: async (source, options) => {
        const { blocks, ...facts } = await sound.extract(source, options)
        return {
          ...facts,
          blocks: (async function* () {
            for await (const block of blocks) yield* change(block)
          })(),
        }
      },
    }
  }

  async function readBlocks(blocks: AsyncIterable<Block>): Promise<Block[]> {
    const list: Block[] = []
    for await (const block of blocks) list.push(block)
    return list
  }

  async function* stream(list: readonly Block[]): AsyncGenerator<Block> {
    yield* list
  }
})

/** Works once; the second call fails, as with handles that may be freed once. */
function once(close: () => Promise<void>): () => Promise<void> {
  let closed = false
  return async () => {
    if (closed) throw new Error('It was closed before.')
    closed = true
    await close()
  }
}

describe('the suite of enrichers sees an enricher that', () => {
  const made =
    (change: (made: Enrichments) => unknown) =>
    (sound: Enricher): Partial<Enricher> => ({
      enrich: async (passages, options) => change(await sound.enrich(passages, options)) as Enrichments,
    })
  let asked = 0
  const beginning = ({ text }: EnrichPassage) => text.slice(0, 20)
  const breakages: readonly Breakage<Enricher>[] = [
    ['has no name', 'tells what', () => ({ id: '' })],
    ['takes no passages', 'tells what', ({ capabilities }) => ({ capabilities: { ...capabilities, batchSize: 0 } })],
    [
      'reads what there is not',
      'tells what',
      ({ capabilities }) => ({ capabilities: { ...capabilities, reads: ['pages' as never] } }),
    ],
    ['forgets its options', 'has another fingerprint', () => ({ fingerprint: 'same' })],
    ['leaves a passage out', 'gives lines for every', made(({ failed, lines }) => ({ failed, lines: lines.slice(1) }))],
    ['gives no lines', 'gives lines for every', made(({ failed, lines }) => ({ failed, lines: lines.map(() => [1]) }))],
    [
      'says of a passage that failed',
      'gives lines for every',
      made(({ lines }) => ({ lines, failed: [{ index: 0, error: 1 }] })),
    ],
    [
      'changes passages',
      'gives lines for every',
      (sound) => ({
        enrich: (passages, options) => {
          for (const passage of passages) Object.assign(passage, { title: 'x' })
          return sound.enrich(passages, options)
        },
      }),
    ],
    ['has nothing to say', 'has something', made(({ failed, lines }) => ({ failed, lines: lines.map(() => ['']) }))],
    [
      'says it in other words',
      'says the same',
      made(({ failed, lines }) => ({ failed, lines: lines.map(() => [`${asked++}`]) })),
    ],
    [
      'reads more than it says',
      'is not told apart',
      ({ capabilities }) => ({
        capabilities: { ...capabilities, reads: [] },
        enrich: async (passages) => ({ lines: passages.map(({ title }) => [title]), failed: [] }),
      }),
    ],
    [
      'wants text',
      'takes no passages',
      (sound) => ({
        enrich: async (passages, options) => {
          if (passages.some(({ text }) => text.length > 10_000)) throw new Error('too long')
          return sound.enrich(passages, options)
        },
      }),
    ],
    ['does not listen', 'stops when', (sound) => ({ enrich: (passages) => sound.enrich(passages, {}) })],
    ['is closed by use', 'closes before', () => ({ enrich: async () => Promise.reject(new Error('closed')) })],
  ]
  sees(breakages, (collect, members) =>
    enricherConformance(collect, {
      create: async () => {
        const sound = createFunctionEnricher({ enrich: beginning })
        return withMembers<Enricher>(sound, members(sound))
      },
      createOther: async () => {
        const sound = createFunctionEnricher({ enrich: beginning, fingerprint: '2' })
        return withMembers<Enricher>(sound, members(sound))
      },
    }),
  )
})

describe('the suite of queues sees a queue that', () => {
  /** What is done to each job before the sound queue's processor sees it. */
  const handling =
    (change: (handler: JobHandler) => JobHandler, times = 1) =>
    (sound: JobQueue): Partial<JobQueue> => ({
      process: (handler, { concurrency, target }) =>
        sound.process(change(handler), { concurrency: concurrency * times, target }),
    })
  let calls = 0
  const breakages: readonly Breakage<JobQueue>[] = [
    ['has no name', 'tells what it is', () => ({ id: '' })],
    ['invents a job', 'tells what it is', () => ({ cancel: async () => true })],
    [
      'counts what is not there',
      'tells what it is',
      () => ({ counts: async () => ({ waiting: 1, active: 0, completed: 0, failed: 0 }) }),
    ],
    ['waits for a job that is unknown', 'tells what it is', () => ({ finished: async () => ({}) as never })],
    [
      'forgets what a job is about',
      'runs a job and tells',
      handling((handler) => (job) => handler({ ...job, input: 'a' })),
    ],
    ['counts attempts from 0', 'runs a job and tells', handling((handler) => (job) => handler({ ...job, attempt: 0 }))],
    ['loses progress', 'runs a job and tells', handling((handler) => (job) => handler({ ...job, report: () => {} }))],
    ['tells nothing', 'tells those who listen', () => ({ subscribe: () => () => {} })],
    [
      'tells on and on',
      'tells those who listen',
      (sound) => ({
        subscribe: (listener) => {
          sound.subscribe(listener)
          return () => {}
        },
      }),
    ],
    [
      'makes two jobs of one content',
      'takes the same content',
      (sound) => ({ enqueue: (input, options) => sound.enqueue(input, { ...options, contentHash: String(calls++) }) }),
    ],
    [
      'makes one job of two contents',
      'takes the same content',
      (sound) => ({ enqueue: (input, options) => sound.enqueue(input, { ...options, contentHash: 'same' }) }),
    ],
    [
      'makes one job of two namespaces',
      'takes the same content',
      (sound) => ({ enqueue: (input, options) => sound.enqueue(input, { ...options, namespace: '' }) }),
    ],
    [
      'does not run again what is over',
      'runs a job again',
      (sound) => ({
        enqueue: async (input, options) => (calls++ % 2 === 0 ? sound.enqueue(input, options) : 'another'),
      }),
    ],
    ['tries an old content again', 'does not let an older content', () => ({ retry: async () => true })],
    [
      'forgets priorities',
      'begins what is urgent first',
      (sound) => ({ enqueue: (input, options) => sound.enqueue(input, { ...options, priority: 'normal' }) }),
    ],
    ['runs more at once than it may', 'runs so many jobs at once', handling((handler) => handler, 2)],
    ['does not stop what is cancelled', 'cancels what waits', () => ({ cancel: async () => true })],
    ['cancels nothing', 'cancels what waits', () => ({ cancel: async () => false })],
    ['knows no failures', 'tries again what may pass', () => ({ failed: async () => [] })],
    [
      'lists more than it was asked for',
      'tries again what may pass',
      (sound) => ({ failed: () => sound.failed({ limit: 9 }) }),
    ],
    ['never lets a failed job wait again', 'tries again what may pass', () => ({ retry: async () => false })],
    [
      'always fails',
      'tries again what may pass',
      handling(() => async () => Promise.reject(new RagError('CORRUPT', 'x'))),
    ],
    [
      'repeats what an error says',
      'keeps the words',
      handling(
        (handler) => (job) =>
          handler(job).catch((error) => {
            throw new RagError('WORKER', String(error))
          }),
      ),
    ],
    [
      'takes more than it has room for',
      'lets enqueue wait for room',
      () => {
        const roomy = createInProcessQueue()
        return { enqueue: (input, options) => roomy.enqueue(input, options) }
      },
    ],
    [
      'waits for ever',
      'stops waiting',
      () => ({ idle: () => new Promise(() => {}), finished: () => new Promise(() => {}) }),
    ],
    [
      'loses what a closed worker had',
      'gives back what a closed',
      handling((handler) => (job) => handler(job).catch(() => ({ documents: 0, unchanged: 0, chunks: 0 }))),
    ],
    [
      'stops what it could have finished',
      'lets a closed worker finish',
      (sound) => ({
        process: (handler, options) => {
          const processor = sound.process(handler, options)
          return { ended: processor.ended, close: () => processor.close(0) }
        },
      }),
    ],
    [
      'lets anybody in',
      'lets in only workers',
      (sound) => ({ process: (handler, options) => sound.process(handler, { ...options, target: 'here' }) }),
    ],
    ['takes anything', 'refuses credentials', () => ({ enqueue: async () => 'job' })],
    [
      'keeps everything',
      'forgets what is over',
      (sound) => ({ job: async (id) => (await sound.job(id)) ?? ({ state: 'completed' } as never) }),
    ],
    ['goes on when it is closed', 'refuses every call', () => ({ enqueue: async () => 'job' })],
    [
      'does not end its workers',
      'refuses every call',
      (sound) => ({
        process: (handler, options) => ({ ...sound.process(handler, options), ended: new Promise(() => {}) }),
      }),
    ],
    [
      'stores an older content last',
      'ends every job and stores',
      handling((handler) => (job) => handler({ ...job, input: { ...(job.input as object), text: '1' } as never })),
    ],
  ]
  sees(breakages, (collect, members) =>
    jobQueueConformance(collect, {
      patienceMs: 100,
      open: { skip: 'its jobs are of one process' },
      create: async (settings) => {
        calls = 0
        const sound = createInProcessQueue(settings)
        return withMembers<JobQueue>(sound, members(sound))
      },
    }),
  )
})
