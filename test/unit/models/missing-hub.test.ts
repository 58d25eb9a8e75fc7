import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { openEmbeddingModel } from '../../../src/models/describe.js'
import { pull } from '../../../src/models/pull-model.js'
import { bertFiles, smallOnnxFile, temporaryFolder, warnings, writeFiles } from './support.js'

vi.mock('@huggingface/hub', () => {
  throw Object.assign(new Error("Cannot find package '@huggingface/hub'"), { code: 'ERR_MODULE_NOT_FOUND' })
})

const root = temporaryFolder()
const processor = { arch: 'x64', vnni: false }
const environment = { HF_HOME: root, HF_ENDPOINT: 'http://127.0.0.1:9' }

it('without the package that speaks with the hub, the install command and the way by hand are told', async () => {
  for (const attempt of [
    () => openEmbeddingModel({ model: 'gte-small', environment }),
    () => pull('gte-small', {}, { environment, processor }),
  ]) {
    await expect(attempt()).rejects.toMatchObject({
      code: 'MISSING_PEER',
      message: expect.stringContaining('thenlper/gte-small'),
      data: { package: '@huggingface/hub', model: 'thenlper/gte-small' },
      hint: expect.stringMatching(/^Run: npm i @huggingface\/hub@2\. By hand: put config\.json/),
    })
  }
})

it('models that are here do not need it, not even when only another precision is', async () => {
  const commit = 'a'.repeat(40)
  const repository = join(root, 'hub/models--acme--tiny')
  writeFiles(join(repository, 'refs'), { main: commit })
  writeFiles(join(repository, 'snapshots', commit), { ...bertFiles(), 'onnx/model_int8.onnx': smallOnnxFile() })
  const { logger, messages } = warnings()
  const open = (quantization: 'fp32' | 'fp16') =>
    openEmbeddingModel({ model: 'acme/tiny', environment, processor, quantization, pooling: 'mean', logger })
  expect((await open('fp32')).quantization).toBe('fp32')
  expect(messages).toEqual([])
  expect((await open('fp16')).quantization).toBe('fp32')
  expect(messages).toEqual([expect.stringContaining('cannot be asked'), expect.stringContaining('no fp16 weights')])
})
