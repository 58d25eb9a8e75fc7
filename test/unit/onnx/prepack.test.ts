import {
  chmodSync,
  copyFileSync,
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
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/core/lifecycle.js'
import { createOnnxEmbedder } from '../../../src/embed/onnx/onnx.js'
import { weightsHashOf } from '../../../src/models/content-hash.js'
import { prepackedDirectory } from '../../../src/models/places.js'
import { type PrepackingOptions, planPrepacking } from '../../../src/onnx/prepack.js'
import { prepackedState } from '../../../src/onnx/prepacked.js'
import { createCrossEncoder } from '../../../src/rerank/cross-encoder/cross-encoder.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'

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
const modelOf = (weights: string, ...others: readonly string[]) => ({ weights, weightsFiles: [weights, ...others] })
const plan = (options: Partial<PrepackingOptions> = {}) =>
  planPrepacking({
    model: modelOf(weightsOf(large())),
    directory: join(root, 'shared'),
    hashWeights: weightsHashOf,
    logger: undefined,
    ...options,
  })

/** A logger that remembers what it was told. */
function remembering(): { readonly logger: Logger; readonly told: string[] } {
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  return { told, logger: { debug: tell, info: tell, warn: tell, error: tell } }
}

describe('a plan for a prepacked model', () => {
  it('is not made for what is small, absent, or not wanted', async () => {
    expect(await plan()).toBeDefined()
    expect(await plan({ model: modelOf(weightsOf(modelFolder({ weights: ['fp32'] }))) })).toBeUndefined()
    expect(await plan({ model: modelOf(join(root, 'absent.onnx')) })).toBeUndefined()
    expect(await plan({ directory: undefined })).toBeUndefined()
  })

  it('lies where the option, the variable or the cache of the user says', () => {
    const environment = { UFRAG_PREPACKED: '/named', XDG_CACHE_HOME: '/cache' }
    expect(prepackedDirectory('/given', environment)).toBe('/given')
    expect(prepackedDirectory('/given', { UFRAG_PREPACKED: 'off' })).toBe('/given')
    expect(prepackedDirectory(undefined, environment)).toBe('/named')
    expect(prepackedDirectory(undefined, { ...environment, UFRAG_PREPACKED: '' })).toBe(
      '/cache/ultrafast-rag/prepacked',
    )
    expect(prepackedDirectory(undefined, {})).toBe(join(homedir(), '.cache/ultrafast-rag/prepacked'))
    expect(prepackedDirectory(undefined, { UFRAG_PREPACKED: '~/models' })).toBe(join(homedir(), 'models'))
    for (const off of ['off', 'OFF', 'false', '0', 'no'])
      expect(prepackedDirectory(undefined, { UFRAG_PREPACKED: off })).toBeUndefined()
    expect(prepackedDirectory(false, environment)).toBeUndefined()
  })

  it('is that of the same weights wherever they lie and whenever they were written, and of no others', async () => {
    const folder = freshFolder()
    mkdirSync(folder)
    const files = ['a.onnx', 'b.onnx', 'weights.bin'].map((name) => join(folder, name)) as [string, string, string]
    const content = Buffer.alloc(3 << 20, 7)
    for (const file of files) writeFileSync(file, content)
    utimesSync(files[1], 1_000, 1_000)
    const placeOf = async (...given: [string, ...string[]]) => (await plan({ model: modelOf(...given) }))?.folder
    const place = await placeOf(files[0])
    expect(place).toBeDefined()
    expect(await placeOf(files[1])).toBe(place)
    const whole = await placeOf(files[0], files[2])
    expect(whole).not.toBe(place)
    content[1 << 20] = 8
    writeFileSync(files[2], content)
    expect(await placeOf(files[0], files[2]), 'weights beside the model file').not.toBe(whole)
    writeFileSync(files[0], content)
    utimesSync(files[0], 1_000, 1_000)
    expect(await placeOf(files[0]), 'the same size and date').not.toBe(place)
  })

  it.skipIf(process.platform === 'win32')('is not made where others may write', async () => {
    const directory = freshFolder()
    mkdirSync(directory)
    for (const [mode, expected] of [
      [0o700, true],
      [0o755, true],
      [0o777, false],
      [0o770, false],
      [0o1777, false],
    ] as const) {
      chmodSync(directory, mode)
      expect((await plan({ directory })) !== undefined, mode.toString(8)).toBe(expected)
    }
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

  it('is made again where the one that is there is none', async () => {
    const directory = freshFolder()
    const made = (await plan({ directory })) as NonNullable<Awaited<ReturnType<typeof plan>>>
    await made.prepare()
    for (const damage of [
      () => rmSync(join(made.folder, 'prepacked')),
      () => writeFileSync(join(made.folder, 'prepacked'), 'nothing'),
      () => rmSync(made.folder, { recursive: true }),
    ]) {
      damage()
      expect(await prepackedState(made.folder)).toBe('absent')
      await made.prepare()
      expect(await prepackedState(made.folder)).toBe('there')
    }
    expect(readdirSync(directory)).toHaveLength(1)
  })

  it('is left to whoever is at it, and taken over an hour later', async () => {
    const directory = freshFolder()
    const made = (await plan({ directory })) as NonNullable<Awaited<ReturnType<typeof plan>>>
    const lock = `${made.folder}.tmp`
    mkdirSync(lock, { recursive: true })
    const waiting = made.prepare()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await prepackedState(made.folder)).toBe('absent')
    // The other one gives up.
    rmSync(lock, { recursive: true })
    await waiting
    expect(await prepackedState(made.folder)).toBe('absent')
    mkdirSync(lock)
    writeFileSync(join(lock, 'model.onnx'), 'half')
    const aMinuteAgo = Date.now() / 1_000 - 60
    utimesSync(lock, aMinuteAgo, aMinuteAgo)
    const began = performance.now()
    await made.prepare()
    expect(performance.now() - began, 'of one who may have died nobody waits').toBeLessThan(5_000)
    expect(await prepackedState(made.folder)).toBe('absent')
    utimesSync(lock, 1_000, 1_000)
    await made.prepare()
    expect(await prepackedState(made.folder)).toBe('there')
    expect(existsSync(lock)).toBe(false)
  })

  it('removes what is not used any more and what was not finished, and nothing else', async () => {
    const directory = freshFolder()
    const age = (name: string, days: number) => {
      mkdirSync(join(directory, name), { recursive: true })
      writeFileSync(join(directory, name, 'file'), '')
      const then = Date.now() / 1_000 - days * 86_400
      utimesSync(join(directory, name), then, then)
    }
    const id = (digit: string) => digit.repeat(32)
    age(id('a'), 61)
    age(id('b'), 59)
    age(`${id('c')}.tmp`, 1)
    age(`${id('d')}.tmp`, 0)
    age('of somebody else', 100)
    const made = await plan({ directory })
    await made?.prepare()
    const left = () => readdirSync(directory).filter((name) => !made?.folder.endsWith(name))
    expect(left().sort()).toEqual([id('b'), `${id('d')}.tmp`, 'of somebody else'].sort())
    for (let copy = 0; copy < 20; copy++) age(`${id('0').slice(2)}${copy + 10}`, 1 + copy)
    await made?.prepare()
    const copies = left().filter((name) => name.startsWith('000'))
    expect(copies, 'sixteen with the one in use').toHaveLength(15)
    expect(copies).toContain(`${id('0').slice(2)}10`)
    expect(left()).not.toContain(id('b'))
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

  it('leaves nothing behind of a file that is no model, or was replaced meanwhile', async () => {
    const weights = join(root, 'noise.onnx')
    writeFileSync(weights, Buffer.alloc(3 << 20, 7))
    const directory = freshFolder()
    const { logger, told } = remembering()
    const noise = await plan({ model: modelOf(weights), directory, logger })
    await noise?.prepare()
    expect(readdirSync(directory)).toEqual([])
    const replaced = await plan({ model: modelOf(weights), directory, logger })
    copyFileSync(weightsOf(large()), weights)
    await replaced?.prepare()
    expect(readdirSync(directory)).toEqual([])
    expect(told).toHaveLength(2)
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

  it('leaves none half written when it is closed meanwhile', async () => {
    const directory = freshFolder()
    const embedder = await createOnnxEmbedder({ model: large(), prepackedDir: directory })
    const warm = embedder.warmUp?.({}).catch((error: unknown) => error)
    const isBeingMade = () => existsSync(directory) && readdirSync(directory).some((name) => name.endsWith('.tmp'))
    await expect.poll(isBeingMade, { interval: 1 }).toBe(true)
    await embedder.close()
    expect(await warm).toMatchObject({ code: 'CLOSED' })
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)])
  })
})
