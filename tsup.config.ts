import { defineConfig } from 'tsup'

/** What the package exports. */
const published = {
  index: 'src/index.ts',
  testing: 'src/testing/index.ts',
  eval: 'src/eval/index.ts',
  queue: 'src/queue/index.ts',
  langchain: 'src/langchain/index.ts',
  'ai-sdk': 'src/ai-sdk/index.ts',
  mcp: 'src/mcp/index.ts',
}
/** Where `tsc -p test/declarations.json` puts the declarations, which are joined here: from the sources tsup takes four times as long. */
const types = 'tmp/types'

/**
 * ESM only. Entries that are started as worker threads end in `.worker` and are found at run time by
 * `src/util/worker-url.ts`; everything else is split, so that an adapter is loaded only when it is used.
 */
export default defineConfig({
  entry: {
    ...published,
    cli: 'src/cli/main.ts',
    'prepare.worker': 'src/compose/prepare.worker.ts',
    'lexical.worker': 'src/lexical-index/lexical.worker.ts',
    'vector.worker': 'src/vector-index/segments/vector.worker.ts',
    'lance.worker': 'src/vector-index/lance/lance.worker.ts',
    'lmdb.worker': 'src/store/lmdb.worker.ts',
    'cache.worker': 'src/cache/cache.worker.ts',
    'prepack.worker': 'src/onnx/prepack.worker.ts',
    'embed.worker': 'src/embed/onnx/embed.worker.ts',
    'static.worker': 'src/embed/static/static.worker.ts',
    'generate.worker': 'src/llm/transformers/generate.worker.ts',
    'rerank.worker': 'src/rerank/cross-encoder/rerank.worker.ts',
    'latent-semantic.worker': 'src/embed/latent-semantic/latent-semantic.worker.ts',
    'distill.worker': 'src/embed/distill/distill.worker.ts',
  },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  splitting: true,
  // Bundled, tree-shaken zod costs a tenth of the import time of the whole package, and nobody needs a second copy of it.
  noExternal: ['zod'],
  // Optional dependencies are not left out by themselves, as dependencies and peers are.
  external: ['usearch'],
  removeNodeProtocol: false,
  sourcemap: true,
  dts: {
    entry: Object.fromEntries(
      Object.entries(published).map(([name, source]) => [
        name,
        source.replace(/^src/, types).replace(/\.ts$/, '.d.ts'),
      ]),
    ),
  },
  clean: true,
})
