import type { Contender, Usage } from './contender.js'
import { createLangchain, langchainPackages } from './langchain.js'
import { createLlamaindex, llamaindexPackages } from './llamaindex.js'
import { createOrama, oramaPackages } from './orama.js'
import { createOurs } from './ours.js'
import { createTransformersjs, transformersjsPackages } from './transformersjs.js'
import { createVectra, vectraPackages } from './vectra.js'

export type ContenderName = keyof typeof contenders

/** Who takes part, with the packages of `bench/peers` that each needs. */
export const contenders = {
  ours: { create: createOurs, packages: [] },
  langchain: { create: createLangchain, packages: langchainPackages },
  llamaindex: { create: createLlamaindex, packages: llamaindexPackages },
  transformersjs: { create: createTransformersjs, packages: transformersjsPackages },
  orama: { create: createOrama, packages: oramaPackages },
  vectra: { create: createVectra, packages: vectraPackages },
} satisfies Record<
  string,
  { readonly create: (usage: Usage) => Promise<Contender>; readonly packages: readonly string[] }
>
