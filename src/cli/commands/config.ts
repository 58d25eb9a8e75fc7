import { catalogue } from '../../compose/catalogue.js'
import { type PresetName, presets } from '../../config/presets.js'
import { profiles } from '../../config/profiles.js'
import { type ResolvedConfig, resolveConfig } from '../../config/resolve.js'
import { RagError } from '../../core/errors.js'
import { type Command, errorData, exitCodes } from '../context.js'

/**
 * `ufrag config`: prints the preset as data, and what options, variables and preset resolve to together. A preset that needs parts
 * this version does not have is printed all the same, with the reason in place of the result.
 */
export const config: Command = async (context) => {
  const options = context.options()
  const resolved = tryResolve(() => resolveConfig(options, catalogue))
  const name = options.preset ?? ('preset' in resolved ? (resolved.preset as PresetName) : 'default')
  const profile =
    options.profile === undefined ? {} : { profile: { name: options.profile, ...profiles[options.profile] } }
  const facts = { preset: { name, ...presets[name] }, ...profile, resolved }
  if (context.json) context.data(facts)
  else context.line(JSON.stringify(facts, undefined, 2))
  return exitCodes.ok
}

/** Plain data only: the logger is made of functions. */
function tryResolve(resolve: () => ResolvedConfig): object {
  try {
    const { logger: _logger, ...plain } = resolve()
    return plain
  } catch (error) {
    if (RagError.isInstance(error, 'UNSUPPORTED')) return { error: errorData(error) }
    throw error
  }
}
