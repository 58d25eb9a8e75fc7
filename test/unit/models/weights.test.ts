import { describe, expect, it } from 'vitest'
import { chooseWeights, detectProcessor, type Processor } from '../../../src/models/weights.js'

const vnni: Processor = { arch: 'x64', vnni: true }
const plain: Processor = { arch: 'x64', vnni: false }
const arm: Processor = { arch: 'arm64', vnni: false }

/** What sentence-transformers and transformers.js publish. */
const sentenceTransformers = [
  'onnx/model.onnx',
  'onnx/model_O4.onnx',
  'onnx/model_qint8_arm64.onnx',
  'onnx/model_qint8_avx512.onnx',
  'onnx/model_qint8_avx512_vnni.onnx',
  'onnx/model_quint8_avx2.onnx',
]
const transformersJs = ['fp16', 'int8', 'uint8', 'quantized', 'q4', 'q4f16', 'bnb4'].map(
  (kind) => `onnx/model_${kind}.onnx`,
)

describe('weights', () => {
  it('of 8 bits are those made for the processor', () => {
    const choose = (processor: Processor) => chooseWeights(sentenceTransformers, { quantization: 'int8', processor })
    expect(choose(vnni)).toMatchObject({ path: 'onnx/model_qint8_avx512_vnni.onnx', exact: true, saturates: false })
    expect(choose(plain)).toMatchObject({ path: 'onnx/model_quint8_avx2.onnx', exact: true, saturates: false })
    expect(choose(arm)).toMatchObject({ path: 'onnx/model_qint8_arm64.onnx', exact: true, saturates: false })
  })

  it('of 8 bits for no processor in particular serve all', () => {
    for (const processor of [vnni, plain, arm]) {
      expect(chooseWeights(transformersJs, { quantization: 'int8', processor })?.path).toBe('onnx/model_quantized.onnx')
    }
  })

  it('that overflow on this processor are the last choice of 8 bits, and marked', () => {
    const files = ['model_qint8_avx512_vnni.onnx', 'model_qint8_arm64.onnx', 'model.onnx']
    const choose = (processor: Processor) => chooseWeights(files, { quantization: 'int8', processor })
    expect(choose(plain)).toMatchObject({ path: 'model_qint8_avx512_vnni.onnx', exact: true, saturates: true })
    expect(choose(vnni)?.saturates).toBe(false)
    expect(choose(arm)).toMatchObject({ path: 'model_qint8_arm64.onnx', saturates: false })
    expect(chooseWeights([...files, 'model_uint8.onnx'], { quantization: 'int8', processor: plain })).toMatchObject({
      path: 'model_uint8.onnx',
      saturates: false,
    })
  })

  it('of each precision are found by the names that exporters give', () => {
    const choose = (quantization: 'fp32' | 'fp16' | 'int4') =>
      chooseWeights([...sentenceTransformers, ...transformersJs], { quantization, processor: plain })
    expect(choose('fp32')).toMatchObject({ path: 'onnx/model.onnx', quantization: 'fp32', exact: true })
    expect(choose('fp16')).toMatchObject({ path: 'onnx/model_fp16.onnx', quantization: 'fp16', exact: true })
    expect(choose('int4')).toMatchObject({ path: 'onnx/model_q4.onnx', quantization: 'int4', exact: true })
    expect(chooseWeights(['model_q4f16.onnx'], { quantization: 'int4', processor: plain })?.exact).toBe(true)
  })

  it('in onnx/ come before those beside the configuration', () => {
    const files = ['model.onnx', 'onnx/model.onnx']
    expect(chooseWeights(files, { quantization: 'fp32', processor: plain })?.path).toBe('onnx/model.onnx')
    expect(chooseWeights(['model.onnx'], { quantization: 'fp32', processor: plain })?.path).toBe('model.onnx')
  })

  it.each([
    ['fp32', ['fp16', 'int8', 'int4']],
    ['fp16', ['fp32', 'int8', 'int4']],
    ['int8', ['fp32', 'fp16', 'int4']],
    ['int4', ['int8', 'fp32', 'fp16']],
  ] as const)('of another precision replace %s in the order %s', (quantization, order) => {
    const names = { fp32: 'model', fp16: 'model_fp16', int8: 'model_int8', int4: 'model_q4' }
    for (let first = 0; first < order.length; first++) {
      const files = order.slice(first).map((precision) => `${names[precision]}.onnx`)
      expect(chooseWeights(files.reverse(), { quantization, processor: plain })).toMatchObject({
        quantization: order[first],
        exact: false,
      })
    }
  })

  it('are not any other ONNX file', () => {
    const files = ['onnx/decoder_model.onnx', 'model_O4.onnx', 'onnx/model.onnx_data', 'model.safetensors']
    expect(chooseWeights(files, { quantization: 'fp32', processor: plain })).toBeUndefined()
  })

  it('are chosen for the processor of this machine', async () => {
    expect(await detectProcessor()).toEqual({ arch: process.arch, vnni: expect.any(Boolean) })
  })
})
