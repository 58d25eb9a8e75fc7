import { describe, it } from 'vitest'
import { createOnnxEmbedder } from '../../src/embed/onnx/onnx.js'
import { embedderConformance } from '../../src/testing/index.js'
import { modelFolder } from '../fixtures/models/model-folder.js'

const model = modelFolder({ weights: ['fp32', 'int8'] })
/** Its vectors of one word are not numbers. Weights in 8 bits cannot say so. */
const odd = modelFolder({ weights: ['fp32'], notFinite: ['fire'] })
const unembeddable = { skip: 'sound weights give a vector for any text, also for one without words' }

describe('onnx embedder, fp32', () => {
  embedderConformance(it, {
    create: () => createOnnxEmbedder({ model: odd }),
    createOther: () => createOnnxEmbedder({ model: odd, dimensions: 32 }),
    unembeddable: ['fire', 'The house is on fire.'],
    minCosine: 1,
  })
})

describe('onnx embedder, int8', () => {
  embedderConformance(it, {
    create: () => createOnnxEmbedder({ model, quantization: 'int8' }),
    createOther: () => createOnnxEmbedder({ model, quantization: 'int8', deterministic: true }),
    unembeddable,
  })
})

describe('onnx embedder, deterministic int8', () => {
  embedderConformance(it, {
    create: () => createOnnxEmbedder({ model, quantization: 'int8', deterministic: true }),
    createOther: () => createOnnxEmbedder({ model, deterministic: true }),
    unembeddable,
    minCosine: 1,
  })
})
