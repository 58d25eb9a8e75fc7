import { RagError } from '../core/errors.js'
import { importOptional } from './import-optional.js'

/** What models of the AI SDK have in common. */
interface SpecifiedModel {
  readonly specificationVersion: string
}

/** What names of models are looked up with. */
type AiSdkProvider = Pick<typeof import('ai')['gateway'], 'embeddingModel' | 'languageModel'>

/**
 * Where the AI SDK looks up names: at the default provider of the application, which is the gateway unless it was changed. Rejects with
 * `MISSING_PEER` without the package `ai`.
 */
export async function aiSdkProvider(): Promise<AiSdkProvider> {
  const { gateway } = await importOptional('ai', () => import('ai'), 'npm i ai@6')
  return (globalThis.AI_SDK_DEFAULT_PROVIDER as AiSdkProvider | undefined) ?? gateway
}

/** A model of a kind, by its method. Throws `BAD_OPTION` for what is none, `UNSUPPORTED` for one of an unknown specification. */
export function checkAiSdkModel<Model extends SpecifiedModel>(
  model: Model,
  { method, example }: { readonly method: keyof Model & string; readonly example: string },
): Model {
  if (typeof model !== 'object' || model === null || typeof model[method] !== 'function') {
    throw new RagError('BAD_OPTION', `model is not a model of the AI SDK with the method ${method}().`, {
      hint: `Give what a provider makes, such as ${example}, or a name for the AI Gateway.`,
    })
  }
  if (/^v[234]$/.test(model.specificationVersion)) return model
  throw new RagError('UNSUPPORTED', 'The model follows a version of the AI SDK specification that is not supported.', {
    data: { specificationVersion: String(model.specificationVersion) },
    hint: 'Install the version of the provider that belongs to ai@6.',
  })
}
