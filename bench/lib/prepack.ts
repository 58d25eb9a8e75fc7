import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { weightsHashOf } from '../../src/models/content-hash.js'
import { prepackedDirectory } from '../../src/models/places.js'
import { planPrepacking } from '../../src/onnx/prepack.js'

/** Makes the prepacked copies of all weights of a model, so that every process opens it as every start but the first does. */
export async function prepackModel(directory: string): Promise<void> {
  for (const name of readdirSync(join(directory, 'onnx')).filter((file) => file.endsWith('.onnx'))) {
    const weights = join(directory, 'onnx', name)
    const model = { weights, weightsFiles: [weights] }
    const plan = await planPrepacking({
      model,
      directory: prepackedDirectory(undefined),
      hashWeights: weightsHashOf,
      logger: undefined,
    })
    await plan?.prepare()
    await plan?.close()
  }
}
