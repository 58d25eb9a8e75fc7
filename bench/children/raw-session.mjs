// A worker thread with one onnxruntime session that runs ready-made batches, taken from a counter it shares with its siblings.
// Plain JavaScript, because worker threads of a bench are not compiled.
import { parentPort, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const session = await InferenceSession.create(workerData.weights, {
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  interOpNumThreads: 1,
  intraOpNumThreads: workerData.threads,
  logSeverityLevel: 3,
  extra: { session: { force_spinning_stop: '1' } },
})
parentPort.on('message', async ({ batches, next }) => {
  for (;;) {
    const batch = batches[Atomics.add(next, 0, 1)]
    if (batch === undefined) break
    const { ids, mask, rows, width } = batch
    const tensor = (values) => new Tensor('int64', values, [rows, width])
    await session.run({
      input_ids: tensor(ids),
      attention_mask: tensor(mask),
      token_type_ids: tensor(new BigInt64Array(rows * width)),
    })
  }
  parentPort.postMessage('done')
})
parentPort.postMessage('ready')
