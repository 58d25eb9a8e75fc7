import { describe, expect, it } from 'vitest'
import { configFromEnv, environmentVariables } from '../../../src/config/env.js'
import { RagError } from '../../../src/core/errors.js'

function failure(environment: Record<string, string>): RagError {
  try {
    configFromEnv(environment)
  } catch (error) {
    if (error instanceof RagError) return error
    throw error
  }
  throw new Error('accepted')
}

describe('configFromEnv', () => {
  it('gives no options for an environment without UFRAG variables', () => {
    expect(configFromEnv({ PATH: '/bin' })).toEqual({})
  })

  it('reads text, numbers, flags and limits', () => {
    expect(
      configFromEnv({
        UFRAG_PRESET: 'research',
        UFRAG_STORAGE: './knowledge',
        UFRAG_CHUNK_SIZE: ' 300 ',
        UFRAG_READ_ONLY: 'Yes',
        UFRAG_ALLOW_URLS: '0',
        UFRAG_MAX_QUERY_CHARS: '5000',
        UFRAG_MAX_FILE_BYTES: '1024',
        UFRAG_MAX_ARCHIVE_ENTRIES: '50',
        UFRAG_MAX_ARCHIVE_BYTES: '2048',
        UFRAG_MAX_ARCHIVE_RATIO: '30',
        UFRAG_MODELS: '/models',
      }),
    ).toEqual({
      preset: 'research',
      storage: './knowledge',
      chunkSize: 300,
      readOnly: true,
      allowUrls: false,
      limits: {
        maxQueryChars: 5000,
        maxFileBytes: 1024,
        maxArchiveEntries: 50,
        maxArchiveBytes: 2048,
        maxArchiveRatio: 30,
      },
      modelsDir: '/models',
    })
  })

  it('takes an empty variable as absent', () => {
    expect(configFromEnv({ UFRAG_PRESET: '', UFRAG_TOP_K: '  ' })).toEqual({})
  })

  it.each([
    ['UFRAG_CHUNK_SIZE', 'many', 'Option "chunkSize" must be a whole number.'],
    ['UFRAG_CHUNK_SIZE', '-1', 'Option "chunkSize" must be a whole number.'],
    ['UFRAG_CHUNK_SIZE', '3', 'Option "chunkSize" must be at least 20, but is 3.'],
    ['UFRAG_READ_ONLY', 'maybe', 'Option "readOnly" must be true or false.'],
    ['UFRAG_PRESET', 'fast', 'Option "preset" must be one of'],
    ['UFRAG_PAGE_TIMEOUT_MS', '0', 'Option "limits.pageTimeoutMs" must be at least 1, but is 0.'],
  ])('names %s when it is %j', (variable, value, reason) => {
    const error = failure({ [variable]: value })
    expect(error).toMatchObject({ code: 'BAD_OPTION', data: { variable } })
    expect(error.message).toContain(`Environment variable ${variable}: ${reason}`)
  })

  it('passes the hint of the option on', () => {
    expect(failure({ UFRAG_PRESET: 'prodution' }).hint).toBe('Did you mean "production"?')
  })

  it('refuses a mistyped variable and leaves strangers alone', () => {
    expect(failure({ UFRAG_CHUNKSIZE: '300' }).hint).toBe('Did you mean UFRAG_CHUNK_SIZE?')
    expect(configFromEnv({ UFRAG_DATA: '/data', UFRAG_SOMETHING_ELSE: 'x' })).toEqual({})
  })

  it('has one variable per option', () => {
    const paths = Object.values(environmentVariables).map(([path]) => path)
    expect(new Set(paths).size).toBe(paths.length)
  })
})
