import { type Analyzer, createAnalyzer } from './analyzer.js'
import { languageProfile } from './language.js'

/** Gives the analyzer of a language, made once for each profile. */
export function createAnalyzers(): (language: string) => Promise<Analyzer> {
  const analyzers = new Map<string, Promise<Analyzer>>()
  return (language) => {
    const { id } = languageProfile(language)
    const known = analyzers.get(id)
    if (known !== undefined) return known
    const analyzer = createAnalyzer(id)
    analyzers.set(id, analyzer)
    return analyzer
  }
}
