import { detectProcessor } from '../src/models/weights.js'
import type { Bench } from './lib/bench.js'
import { compareFormats } from './session/formats.js'
import { compareLoading } from './session/loading.js'
import { compareMemory } from './session/memory.js'
import { comparePooling, compareSwitches } from './session/switches.js'
import { compareTopologies } from './session/topologies.js'

/**
 * What is left inside an onnxruntime session? Number formats, pooling in the graph, switches of the runtime, ways to load a model,
 * memory over many shapes, threads within against sessions beside each other: on models of the shape of all-MiniLM-L6-v2 with random
 * weights, in fresh processes. Single threads are compared by processor time, which others on the machine hardly change.
 */
const bench: Bench = async (context) => {
  const { arch, vnni } = await detectProcessor()
  context.log(`${arch}, ${vnni ? 'with' : 'without'} instructions that multiply 8-bit integers exactly (VNNI)`)
  return {
    ...(await compareFormats(context)),
    ...(await comparePooling(context)),
    ...(await compareSwitches(context)),
    ...(await compareLoading(context)),
    ...(await compareMemory(context)),
    ...(await compareTopologies(context)),
  }
}

export default bench
