import * as z from 'zod/mini'

/** Precision of weights; `'none'`, not quantized, is another word for `'fp32'`. */
export const precision = z.pipe(
  z.enum(['fp32', 'fp16', 'int8', 'int4', 'none']),
  z.transform((value) => (value === 'none' ? 'fp32' : value)),
)
