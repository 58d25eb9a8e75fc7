import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBatchInputs } from '../../../src/onnx/batch-inputs.js'
import { floatsOf } from '../../../src/onnx/float-data.js'
import { openModel, prepackedState, writePrepacked } from '../../../src/onnx/prepacked.js'
import { openSession, type Session, type SessionOptions } from '../../../src/onnx/session.js'
import type { ModelFolderOptions } from '../../fixtures/models/model-folder.js'
import { embeddingModel } from '../../lib/embedding-model.js'

const critical = <Result>(section: () => Result) => section()
const optionsOf = (weights: string, threads = 1): SessionOptions => ({
  weights,
  device: { kind: 'cpu', index: 0 },
  threads,
  critical,
})
let root: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ufrag-prepacked-'))
})
afterAll(() => rmSync(root, { recursive: true }))

let folders = 0
function emptyFolder(): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  return folder
}

async function prepacked(options: ModelFolderOptions = {}): Promise<{ folder: string; weights: string }> {
  const folder = emptyFolder()
  const { weights } = embeddingModel(options)
  await writePrepacked(folder, optionsOf(weights))
  return { folder, weights }
}

/** Bits of what a model gives for three texts of random lengths. */
async function bitsOf(session: Session): Promise<Float32Array> {
  try {
    const { feeds } = createBatchInputs(session, { paddingId: 0, file: 'model' })({
      ids: Int32Array.from({ length: 40 }, (_, place) => 5 + ((place * 7) % 60)),
      offsets: Int32Array.of(0, 20, 33, 40),
    })
    return floatsOf((await session.run(feeds, session.outputs[0]?.name as string)).data).slice()
  } finally {
    await session.release()
  }
}

/** Opens a model whose own file is not there: only its copy can be what was opened. */
const openCopyAlone = (folder: string, threads = 1) =>
  openModel({ ...optionsOf(join(root, 'absent.onnx'), threads), prepacked: folder })

describe('a prepacked model', () => {
  it.each<[string, ModelFolderOptions]>([
    ['fp32', { weights: ['fp32'] }],
    ['fp16', { weights: ['fp16'] }],
    ['int8', { weights: ['int8'] }],
    ['int8 of the full range', { weights: ['int8-vnni'] }],
    ['weights in a second file', { weights: ['fp32'], externalData: true }],
    ['a graph that pools', { weights: ['fp32'], output: 'sentence' }],
    ['a cross-encoder', { weights: ['int8'], output: 'logit' }],
  ])('gives the bits of the model: %s', async (_, options) => {
    const { folder, weights } = await prepacked(options)
    expect(await prepackedState(folder)).toBe('there')
    const expected = await bitsOf(await openSession(optionsOf(weights)))
    expect(await bitsOf(await openCopyAlone(folder))).toEqual(expected)
    expect(await bitsOf(await openCopyAlone(folder, 2))).toEqual(await bitsOf(await openSession(optionsOf(weights, 2))))
  })

  it.each(['int4', 'int8-blocks'] as const)(
    'is not to be had of weights in blocks, or gives their bits: %s',
    async (kind) => {
      const { folder, weights } = await prepacked({ weights: [kind] })
      const opened = await openModel({ ...optionsOf(weights), prepacked: folder })
      expect(await bitsOf(opened)).toEqual(await bitsOf(await openSession(optionsOf(weights))))
      expect(readdirSync(folder)).toHaveLength((await prepackedState(folder)) === 'unusable' ? 1 : 3)
    },
  )

  it('is opened by several at once, and wherever it was moved', async () => {
    const { folder, weights } = await prepacked()
    const moved = `${folder}-moved`
    cpSync(folder, moved, { recursive: true })
    rmSync(folder, { recursive: true })
    const sessions = await Promise.all([1, 2, 3].map(() => openCopyAlone(moved)))
    const expected = await bitsOf(await openSession(optionsOf(weights)))
    for (const session of sessions) expect(await bitsOf(session)).toEqual(expected)
  })

  it.each<[string, (folder: string) => void]>([
    ['whose weights are cut', (folder) => truncateSync(join(folder, 'model.data'), 1_000)],
    ['whose weights are gone', (folder) => rmSync(join(folder, 'model.data'))],
    ['whose weights are zeros', (folder) => fill(join(folder, 'model.data'), () => 0)],
    ['whose weights are others', (folder) => fill(join(folder, 'model.data'), (place) => (place * 31) % 97)],
    ['whose graph is cut', (folder) => truncateSync(join(folder, 'model.onnx'), 500)],
    ['whose graph is gone', (folder) => rmSync(join(folder, 'model.onnx'))],
    ['whose graph is noise', (folder) => fill(join(folder, 'model.onnx'), (place) => (place * 17) % 251)],
  ])('%s is removed, and the model opened as it is', async (_, damage) => {
    const { folder, weights } = await prepacked()
    damage(folder)
    const session = await openModel({ ...optionsOf(weights), prepacked: folder })
    expect(await bitsOf(session)).toEqual(await bitsOf(await openSession(optionsOf(weights))))
    expect(existsSync(folder)).toBe(false)
  })

  it.each<[string, (list: string) => void]>([
    ['is gone', (list) => rmSync(list)],
    ['is empty', (list) => truncateSync(list, 0)],
    ['is cut', (list) => truncateSync(list, 100)],
    ['has a byte changed', (list) => fill(list, (place, byte) => (place === 60 ? byte ^ 1 : byte))],
  ])('whose list %s is none', async (_, damage) => {
    const { folder, weights } = await prepacked()
    damage(join(folder, 'prepacked'))
    expect(await prepackedState(folder)).toBe('absent')
    await bitsOf(await openModel({ ...optionsOf(weights), prepacked: folder }))
    await expect(openCopyAlone(folder)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is not opened on another device', async () => {
    const { folder } = await prepacked()
    const options = { ...optionsOf(join(root, 'absent.onnx')), prepacked: folder }
    await expect(openModel({ ...options, device: { kind: 'webgpu', index: 0 } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('is left alone when its thread is about to end', async () => {
    const { folder, weights } = await prepacked()
    for (const last of [0, 1, 2]) {
      let sections = 0
      const ending = <Result>(section: () => Result) => {
        if (sections++ >= last) throw new Error('The thread is about to end.')
        return section()
      }
      await expect(openModel({ ...optionsOf(weights), critical: ending, prepacked: folder })).rejects.toThrow()
      expect(await prepackedState(folder)).toBe('there')
    }
  })

  it('is not written of a file that is no model', async () => {
    const folder = emptyFolder()
    const weights = join(root, 'noise.onnx')
    writeFileSync(weights, 'no model')
    await expect(writePrepacked(folder, optionsOf(weights))).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await prepackedState(folder)).toBe('absent')
  })

  it('is noted as not to be had when the runtime cannot write it', async () => {
    const folder = emptyFolder()
    // In its way.
    mkdirSync(join(folder, 'model.onnx'))
    writeFileSync(join(folder, 'model.onnx', 'file'), '')
    const { weights } = embeddingModel()
    await expect(writePrepacked(folder, optionsOf(weights))).rejects.toThrow()
    rmSync(join(folder, 'model.onnx'), { recursive: true })
    mkdirSync(join(folder, 'model.data'))
    await writePrepacked(folder, optionsOf(weights)).catch(() => undefined)
    expect(await prepackedState(folder)).not.toBe('there')
    await bitsOf(await openModel({ ...optionsOf(weights), prepacked: folder }))
  })

  it('is not noted as anything when there is no folder to write to', async () => {
    const { weights } = embeddingModel()
    await expect(writePrepacked(join(root, 'nowhere'), optionsOf(weights))).rejects.toThrow()
    expect(existsSync(join(root, 'nowhere'))).toBe(false)
  })
})

function fill(path: string, byteAt: (place: number, byte: number) => number): void {
  writeFileSync(
    path,
    readFileSync(path).map((byte, place) => byteAt(place, byte)),
  )
}
