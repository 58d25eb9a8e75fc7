import { readCpuInfo } from '../util/processor.js'
import type { Quantization } from './types.js'

/** What decides which 8-bit weights a processor multiplies fast and exactly. */
export interface Processor {
  /** As in `process.arch`. */
  readonly arch: string
  /** Whether it multiplies 8-bit integers without overflow (AVX512-VNNI or AVX-VNNI). Only asked of x64. */
  readonly vnni: boolean
}

/** A file of weights that was chosen. */
export interface WeightsChoice {
  /** Within the model's folder, with `/`. */
  readonly path: string
  /** Its precision. */
  readonly quantization: Quantization
  /** Its precision is the one that was asked for. */
  readonly exact: boolean
  /** It was made for processors that do not overflow; this one may, and then results are less exact. */
  readonly saturates: boolean
}

/** What is taken when the precision that was asked for is not there: the most exact of the rest, but small for who asked for the smallest. */
const fallbacks: Readonly<Record<Quantization, readonly Quantization[]>> = {
  fp32: ['fp16', 'int8', 'int4'],
  fp16: ['fp32', 'int8', 'int4'],
  int8: ['fp32', 'fp16', 'int4'],
  int4: ['int8', 'fp32', 'fp16'],
}

/** Weights of the whole signed range: on x64 without VNNI, pairs of products overflow 16 bits (onnxruntime issue 14642). */
const fullRange = ['model_qint8_avx512_vnni.onnx', 'model_qint8_avx512.onnx', 'model_qint8_arm64.onnx']

/**
 * The weights to load out of the files of a model (paths with `/`), or `undefined` when none of them is known. Files lie in `onnx/`
 * or beside `config.json`; names are those of sentence-transformers, Optimum and transformers.js.
 */
export function chooseWeights(
  files: Iterable<string>,
  { quantization, processor }: { readonly quantization: Quantization; readonly processor: Processor },
): WeightsChoice | undefined {
  const present = new Set(files)
  for (const precision of [quantization, ...fallbacks[quantization]]) {
    const path = weightsPaths(precision, processor).find((candidate) => present.has(candidate))
    if (path === undefined) continue
    const name = path.slice(path.lastIndexOf('/') + 1)
    const saturates = processor.arch === 'x64' && !processor.vnni && fullRange.includes(name)
    return { path, quantization: precision, exact: precision === quantization, saturates }
  }
  return undefined
}

/** Paths of the weights of one precision, the best for this processor first. */
export function weightsPaths(quantization: Quantization, processor: Processor): readonly string[] {
  return weightsNames(quantization, processor).flatMap((name) => [`onnx/${name}`, name])
}

function weightsNames(quantization: Quantization, processor: Processor): readonly string[] {
  switch (quantization) {
    case 'fp32':
      return ['model.onnx']
    case 'fp16':
      return ['model_fp16.onnx']
    case 'int8':
      return int8Names(processor)
    case 'int4':
      return ['model_q4.onnx', 'model_q4f16.onnx']
    default:
      return quantization satisfies never
  }
}

function int8Names({ arch, vnni }: Processor): readonly string[] {
  const general = ['model_quantized.onnx', 'model_int8.onnx', 'model_uint8.onnx']
  if (arch === 'arm64')
    return ['model_qint8_arm64.onnx', ...general, 'model_quint8_avx2.onnx', ...fullRange.slice(0, 2)]
  if (vnni) return [...fullRange.slice(0, 2), ...general, 'model_quint8_avx2.onnx', 'model_qint8_arm64.onnx']
  return [
    'model_quint8_avx2.onnx',
    ...general,
    'model_qint8_avx512.onnx',
    ...fullRange.filter((name) => !name.endsWith('_avx512.onnx')),
  ]
}

/** This machine's processor. Where it cannot be asked (Windows, macOS on Intel) it counts as without VNNI, which is right everywhere. */
export async function detectProcessor(): Promise<Processor> {
  const { arch } = process
  // Hidden in some sandboxes; then the careful choice stands.
  return { arch, vnni: arch === 'x64' && /^flags\s*:.*\bavx(?:512)?_vnni\b/m.test(await readCpuInfo()) }
}
