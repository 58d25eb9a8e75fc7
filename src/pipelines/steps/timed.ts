import type { RetrieveTools } from '../retrieve.js'

/** Runs a task and tells how long it took. */
export async function timed<Result>(
  stage: string,
  { recorder, now }: Pick<RetrieveTools, 'recorder' | 'now'>,
  task: () => Result | Promise<Result>,
): Promise<Result> {
  const began = now()
  const result = await task()
  recorder.stage(stage, now() - began)
  return result
}
