import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/program.js'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-eval-'))
const set = join(folder, 'animals')
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(() => {
  const animals = ['fox', 'bear', 'wolf', 'owl']
  const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n')
  mkdirSync(set)
  for (const [name, content] of [
    ['corpus.jsonl', lines(animals.map((animal) => ({ _id: animal, title: '', text: `The ${animal} lives here.` })))],
    ['queries.jsonl', lines(animals.map((animal) => ({ _id: `q-${animal}`, text: `where does the ${animal} live` })))],
    ['qrels.tsv', animals.map((animal) => `q-${animal}\t${animal}\t1`).join('\n')],
  ] as const) {
    writeFileSync(join(set, name), content)
  }
})

async function run(...line: string[]) {
  let [out, err] = ['', '']
  const opened: UltraFastRAGOptions[] = []
  const exitCode = await runCli(line, {
    variables: { UFRAG_STORAGE: join(folder, 'never-made') },
    write: (text) => {
      out += text
    },
    complain: (text) => {
      err += text
    },
    terminal: false,
    signal: new AbortController().signal,
    open: async (options) => {
      opened.push(options)
      // The models of presets are not here.
      return new UltraFastRAG(options.embedder === false ? options : { ...options, embedder: createFakeEmbedder() })
    },
    pull: async () => Promise.reject(new Error('nothing to fetch')),
    distill: async () => Promise.reject(new Error('nothing to distill')),
    openQueue: async () => Promise.reject(new Error('no queue')),
  })
  return { exitCode, out, err, opened }
}

describe('ufrag eval', () => {
  it('compares words alone with presets, with and without their rerankers, and writes report, data and picture', async () => {
    const out = mkdtempSync(join(folder, 'out-'))
    const {
      exitCode,
      out: printed,
      err,
      opened,
    } = await run('eval', set, '--presets', 'default, production', '--out', out)
    expect([exitCode, err]).toEqual([0, expect.stringContaining('Written: ')])
    expect(readdirSync(out).sort()).toEqual(['animals.eval.json', 'animals.eval.md', 'animals.eval.svg'])
    const names = ['words', 'default', 'production', 'production, not reranked']
    const { systems } = JSON.parse(readFileSync(join(out, 'animals.eval.json'), 'utf8'))
    expect(systems.map(({ name }: { name: string }) => name)).toEqual(names)
    expect(systems.map(({ means }: { means: { ndcg: number } }) => means.ndcg)).toEqual([1, 1, 1, 1])
    for (const name of names) expect(printed).toContain(name)
    expect(readFileSync(join(out, 'animals.eval.md'), 'utf8')).toContain('(animals.eval.svg)')
    expect(readFileSync(join(out, 'animals.eval.svg'), 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s)
    expect(opened.map(({ storage, preset }) => [storage, preset])).toEqual([
      [{ kind: 'memory' }, 'default'],
      [{ kind: 'memory' }, 'default'],
      [{ kind: 'memory' }, 'production'],
    ])
  })

  it('takes the preset of every command, another depth, and prints data', async () => {
    const { exitCode, out } = await run('eval', set, '--preset', 'kaggle', '--k', '3', '--json', '--out', folder)
    expect(exitCode).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ set: 'animals', k: 3, systems: [{ name: 'words' }, { name: 'kaggle' }] })
  })

  it('says what is wrong with the set, the folder or an option', async () => {
    expect(await run('eval', join(folder, 'nothing'))).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('corpus.jsonl'),
    })
    expect((await run('eval', set, '--k', '0')).exitCode).toBe(2)
    expect((await run('eval', set, '--presets', 'productoin')).exitCode).toBe(2)
    expect(await run('eval', set, '--out', join(folder, 'no', 'such'))).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('"--out"'),
    })
    expect((await run('eval')).exitCode).toBe(2)
  })
})
