import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/core/lifecycle.js'
import { createOnnxEmbedder } from '../../../src/embed/onnx/onnx.js'
import type { Device } from '../../../src/onnx/devices.js'
import { type PrepackingOptions, planPrepacking } from '../../../src/onnx/prepack.js'
import { createCrossEncoder } from '../../../src/rerank/cross-encoder/cross-encoder.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'

const cpu: Device = { kind: 'cpu', index: 0 }
let root: string
let folders = 0

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ufrag-prepack-'))
})
afterAll(() => rmSync(root, { recursive: true }))

const freshFolder = () => join(root, String(folders++))
/** Just large enough for copies to be made. */
const large = () => modelFolder({ vocabulary: 9_000, weights: ['fp32'] })
const weightsOf = (folder: string) => join(folder, 'onnx', 'model.onnx')
const plan = (options: Partial<PrepackingOptions> = {}) =>
  planPrepacking({
    weights: weightsOf(large()),
    device: cpu,
    directory: undefined,
    logger: undefined,
    environment: { UFRAG_PREPACKED: join(root, 'shared') },
    ...options,
  })

/** A logger that remembers what it was told. */
function remembering(): { readonly logger: Logger; readonly told: string[] } {
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  return { told, logger: { debug: tell, info: tell, warn: tell, error: tell } }
}

describe('a plan for a prepacked model', () => {
  it('is made for the CPU alone', async () => {
    expect(await plan({ device: { kind: 'cuda', index: 0 } })).toBeUndefined()
    expect(await plan()).toBeDefined()
  })

  it('is not made for what is small, absent, or not wanted', async () => {
    expect(await plan({ weights: weightsOf(modelFolder({ weights: ['fp32'] })) })).toBeUndefined()
    expect(await plan({ weights: join(root, 'absent.onnx') })).toBeUndefined()
    expect(await plan({ directory: false })).toBeUndefined()
    expect(await plan({ environment: { UFRAG_PREPACKED: 'off' } })).toBeUndefined()
    expect(await plan({ environment: { UFRAG_PREPACKED: 'OFF' } })).toBeUndefined()
  })

  it('lies where the option, the variable or the cache of the user says', async () => {
    const placeOf = async (options: Partial<PrepackingOptions>) => dirname((await plan(options))?.folder ?? '')
    const environment = { UFRAG_PREPACKED: '/named', XDG_CACHE_HOME: '/cache' }
    expect(await placeOf({ directory: '/given', environment })).toBe('/given')
    expect(await placeOf({ directory: '/given', environment: { UFRAG_PREPACKED: 'off' } })).toBe('/given')
    expect(await placeOf({ environment })).toBe('/named')
    expect(await placeOf({ environment: { ...environment, UFRAG_PREPACKED: '' } })).toBe(
      '/cache/ultrafast-rag/prepacked',
    )
    expect(await placeOf({ environment: {} })).toBe(join(homedir(), '.cache/ultrafast-rag/prepacked'))
    expect(await placeOf({ environment: { UFRAG_PREPACKED: '~/models' } })).toBe(join(homedir(), 'models'))
  })

  it('is another one when the model file is, or a file of weights beside it', async () => {
    const folder = freshFolder()
    mkdirSync(folder)
    const weights = join(folder, 'model.onnx')
    writeFileSync(weights, Buffer.alloc(3 << 20))
    const places: (string | undefined)[] = []
    const look = async () => void places.push((await plan({ weights }))?.folder)
    await look()
    utimesSync(weights, 1_000, 1_000)
    await look()
    writeFileSync(`${weights}_data`, 'weights')
    await look()
    writeFileSync(join(folder, 'config.json'), '{}')
    expect((await plan({ weights }))?.folder).toBe(places.at(-1))
    expect(new Set(places)).toHaveLength(3)
  })

  it('makes one copy for all who ask at once, and none where there is one', async () => {
    const directory = freshFolder()
    const [one, other] = [await plan({ directory }), await plan({ directory })]
    await Promise.all([one?.prepare(), other?.prepare(), one?.prepare()])
    const folder = one?.folder as string
    expect(readdirSync(directory)).toHaveLength(1)
    expect(readdirSync(folder).sort()).toEqual(['model.data', 'model.onnx', 'prepacked'])
    const { ino } = statSync(join(folder, 'model.data'))
    utimesSync(folder, 1_000, 1_000)
    await other?.prepare()
    expect(statSync(join(folder, 'model.data')).ino).toBe(ino)
    expect(statSync(folder).mtimeMs, 'it counts as used').toBeGreaterThan(Date.now() - 60_000)
  })

  it('removes what is not used any more and what was not finished, and nothing else', async () => {
    const directory = freshFolder()
    const age = (name: string, days: number) => {
      mkdirSync(join(directory, name), { recursive: true })
      writeFileSync(join(directory, name, 'file'), '')
      const then = Date.now() / 1_000 - days * 86_400
      utimesSync(join(directory, name), then, then)
    }
    const id = 'ab'.repeat(16)
    const unfinished = `${id}-00000000-0000-4000-8000-000000000000.tmp`
    age(id, 61)
    age(`${'cd'.repeat(16)}`, 59)
    age(unfinished, 1)
    age(unfinished.replace('0000', '1111'), 0)
    age('of somebody else', 100)
    const made = await plan({ directory })
    await made?.prepare()
    const names = readdirSync(directory).filter((name) => !made?.folder.endsWith(name))
    expect(names.sort()).toEqual(['cd'.repeat(16), unfinished.replace('0000', '1111'), 'of somebody else'].sort())
  })

  it('is given up, and logged, where nothing can be written', async () => {
    const inTheWay = freshFolder()
    writeFileSync(inTheWay, 'a file')
    const { logger, told } = remembering()
    await (await plan({ directory: join(inTheWay, 'copies'), logger }))?.prepare()
    expect(told).toEqual(['A model could not be prepacked.'])
  })

  it.skipIf(process.getuid?.() === 0)('is given up where writing is forbidden', async () => {
    const directory = freshFolder()
    mkdirSync(directory)
    chmodSync(directory, 0o500)
    const { logger, told } = remembering()
    await (await plan({ directory, logger }))?.prepare()
    expect(told).toHaveLength(1)
  })

  it('leaves nothing behind of a model that the runtime cannot read', async () => {
    const weights = join(root, 'noise.onnx')
    writeFileSync(weights, Buffer.alloc(3 << 20, 7))
    const directory = freshFolder()
    const made = await plan({ weights, directory })
    await made?.prepare()
    expect(readdirSync(made?.folder as string)).toEqual(['prepacked'])
    await made?.prepare()
    expect(readdirSync(directory)).toHaveLength(1)
  })
})

describe('who opens models', () => {
  it('gets the same vectors of a prepacked model', async () => {
    const texts = ['the river', 'a fox in the wood', 'bread and water', 'the sea', 'two towers by the sea', 'one']
    const vectorsOf = async (prepackedDir: string | false) => {
      const embedder = await createOnnxEmbedder({ model: large(), prepackedDir, deterministic: true, workers: 2 })
      try {
        const { vectors } = await embedder.embed(texts, { kind: 'passage' })
        const question = await embedder.embed(['a tower'], { kind: 'query' })
        return [...vectors, ...question.vectors]
      } finally {
        await embedder.close()
      }
    }
    const directory = freshFolder()
    const plain = await vectorsOf(false)
    expect(existsSync(directory)).toBe(false)
    expect(await vectorsOf(directory), 'the first time').toEqual(plain)
    expect(readdirSync(directory)).toHaveLength(1)
    expect(await vectorsOf(directory), 'from then on').toEqual(plain)
  })

  it('gets the same scores of a prepacked cross-encoder', async () => {
    const model = modelFolder({ vocabulary: 9_000, weights: ['fp32'], output: 'logit' })
    const candidates = ['the river', 'a fox in the wood', 'bread'].map((text, number) => ({ number, text, score: 0 }))
    const scoresOf = async (prepackedDir: string | false) => {
      const reranker = await createCrossEncoder({ model, prepackedDir, workers: 2 })
      try {
        return await reranker.rerank({ question: 'what', candidates, topK: 3 } as never, {} as never)
      } finally {
        await reranker.close()
      }
    }
    const directory = freshFolder()
    const plain = await scoresOf(false)
    expect(await scoresOf(directory)).toEqual(plain)
    expect(await scoresOf(directory)).toEqual(plain)
    expect(readdirSync(directory)).toHaveLength(1)
  })

  it('does not wait for a copy after it was closed, and leaves none half written', async () => {
    const directory = freshFolder()
    const embedder = await createOnnxEmbedder({ model: large(), prepackedDir: directory })
    const failed = embedder.embed(['the river'], { kind: 'passage' }).catch((error: unknown) => error)
    await embedder.close()
    expect(await failed).toMatchObject({ code: 'CLOSED' })
    for (const name of existsSync(directory) ? readdirSync(directory) : []) expect(name).not.toMatch(/\.tmp$/)
  })
})
