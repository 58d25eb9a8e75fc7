import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeSafetensors } from '../../models/safetensors.js'

export interface StaticModelToSave {
  readonly values: Float32Array
  readonly dimensions: number
  readonly sifCoefficient: number
  /** Name of the teacher, for people. */
  readonly teacher: string
}

/**
 * Writes the model into a folder that has its `tokenizer.json` already, in the format of model2vec (`save_pretrained`); by its
 * `modules.json` sentence-transformers opens the same folder.
 */
export async function saveStaticModel(folder: string, model: StaticModelToSave, signal?: AbortSignal): Promise<void> {
  const { values, dimensions, sifCoefficient, teacher } = model
  const embeddings = {
    name: 'embeddings',
    type: 'F32',
    shape: [values.length / dimensions, dimensions],
    values,
  } as const
  await writeSafetensors(join(folder, 'model.safetensors'), [embeddings], signal === undefined ? {} : { signal })
  await writeJson(join(folder, 'config.json'), {
    model_type: 'model2vec',
    architectures: ['StaticModel'],
    tokenizer_name: teacher,
    apply_pca: dimensions,
    sif_coefficient: sifCoefficient === 0 ? null : sifCoefficient,
    hidden_dim: dimensions,
    seq_length: 1_000_000,
    normalize: true,
    embedding_dtype: 'float32',
  })
  await writeJson(join(folder, 'modules.json'), [
    { idx: 0, name: '0', path: '.', type: 'sentence_transformers.models.StaticEmbedding' },
    { idx: 1, name: '1', path: '1_Normalize', type: 'sentence_transformers.models.Normalize' },
  ])
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, undefined, 2)}\n`, { flush: true })
}
