import { randomNumbers } from '../../src/testing/support.js'

/**
 * Seeded English-like text, for sizes that no shipped corpus has. Words follow Zipf's law over a vocabulary that grows with the
 * text (as Heaps' law says), sentences and paragraphs have the lengths of prose, so that index sizes are those of real text.
 */
export interface TextGenerator {
  /** A document of about so many characters: paragraphs separated by blank lines. */
  document(characters: number): string
}

const syllables =
  'ba be bi bo ca ce co da de di do fa fe fi ga ge go ha he la le li lo ma me mi mo na ne no pa pe po ra re ri ro sa se si so ta te ti to va ve vi'.split(
    ' ',
  )
const common =
  'the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just state those people too mr how little good world make very year still see own work men day get here old life both between being under three never know same last another while us might great go come since against right came take used himself few house use during without again place around however home small found thought went say part once general high upon school every'.split(
    ' ',
  )

export function createTextGenerator(seed: number): TextGenerator {
  const random = randomNumbers(seed)
  const word = (): string => {
    if (random() < 0.45) return common[Math.floor(common.length * random() ** 2)] as string
    return coin(Math.floor(1 / (random() ** 1.25 + 1e-7)))
  }
  const sentence = (): string => {
    const words = Array.from({ length: 6 + Math.floor(random() * 24) }, word)
    const text = words.join(' ')
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
  }
  return {
    document: (characters) => {
      const parts: string[] = []
      let length = 0
      while (length < characters) {
        const paragraph = Array.from({ length: 2 + Math.floor(random() * 6) }, sentence).join(' ')
        parts.push(paragraph)
        length += paragraph.length + 2
      }
      return `${parts.join('\n\n')}\n`
    },
  }
}

/** The n-th word of an endless vocabulary. */
function coin(rank: number): string {
  let text = ''
  for (let rest = rank + syllables.length; rest > 0; rest = Math.floor(rest / syllables.length)) {
    text += syllables[rest % syllables.length] as string
  }
  return text
}
