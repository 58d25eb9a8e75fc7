import { describe, expect, it } from 'vitest'
import { createAnalyzers } from '../../../src/text/analyzers.js'
import { detectLanguage } from '../../../src/text/detect-language.js'
import { pointsBack, topicWords } from '../../../src/text/stand-alone.js'
import { subQuestions } from '../../../src/text/sub-questions.js'

const analyzerFor = createAnalyzers()
const english = await analyzerFor('english')
const user = (content: string) => ({ role: 'user' as const, content })
const assistant = (content: string) => ({ role: 'assistant' as const, content })

describe('the language of a question', () => {
  it.each([
    ['How tall is the tower?', 'english'],
    ['What are the side effects of ibuprofen?', 'english'],
    ['Wie hoch ist der Turm?', 'german'],
    ['Welche Nebenwirkungen hat Ibuprofen?', 'german'],
    ['Quelle est la hauteur de la tour ?', 'french'],
    ['¿Cuál es la altura de la torre?', 'spanish'],
    ['Qual è l’altezza della torre?', 'italian'],
    ['Qual é a altura da torre e quando foi construída?', 'portuguese'],
    ['Hoe hoog is de toren en wanneer werd hij gebouwd?', 'dutch'],
    ['Hur högt är tornet och vad är det för en plats?', 'swedish'],
    ['Jak wysoka jest wieża i kiedy powstała?', 'polish'],
    ['Kule ne kadar yüksek ve nerede?', 'turkish'],
    ['Какова высота башни?', 'russian'],
    ['Яка висота цієї вежі?', 'ukrainian'],
    ['塔有多高？', 'chinese'],
    ['塔の高さはどのくらいですか？', 'japanese'],
    ['탑의 높이는 얼마입니까?', 'korean'],
    ['ما هو ارتفاع البرج؟', 'arabic'],
    ['ارتفاع برج چقدر است؟', 'persian'],
    ['Πόσο ψηλός είναι ο πύργος;', 'greek'],
  ])('%s', (question, language) => {
    expect(detectLanguage(question)).toBe(language)
  })

  it.each(['', '   ', '42', 'Kubernetes', 'ERR_SOCKET_TIMEOUT', 'aspirin dosage', '🙂🙂'])(
    'is not told of %j',
    (text) => {
      expect(detectLanguage(text)).toBeUndefined()
    },
  )

  it('is told by most letters, so that a quoted name does not decide', () => {
    expect(detectLanguage('Who is the author of the book "Война и мир" in the list?')).toBe('english')
    expect(detectLanguage('What is the meaning of 塔 in the text?')).toBe('english')
  })

  it('reads the beginning of a text that never ends', () => {
    expect(detectLanguage(`What is the ${'x'.repeat(2_000_000)}`)).toBe('english')
  })
})

describe('a question that points back', () => {
  it.each([
    'How tall is it?',
    'Why?',
    'And the cathedral in the north?',
    'What about summer tickets?',
    'Who designed that?',
    'What does that mean for beginners?',
    'How do these two parts work together?',
  ])('%s', (question) => {
    expect(pointsBack(question, english)).toBe(true)
  })

  it.each([
    'How tall is the Eiffel Tower?',
    'Which proteins that bind DNA are known?',
    'Is there a refund for damaged goods?',
    'What is HNSW search?',
  ])('is not: %s', (question) => {
    expect(pointsBack(question, english)).toBe(false)
  })

  it('is told in other languages, too', async () => {
    const german = await analyzerFor('german')
    expect(pointsBack('Wie hoch ist er mit Antenne?', german)).toBe(true)
    expect(pointsBack('Wie hoch ist der Fernsehturm Berlin?', german)).toBe(false)
    expect(pointsBack('Et la tour Montparnasse ?', await analyzerFor('french'))).toBe(true)
    expect(pointsBack('塔有多高？', await analyzerFor('chinese'))).toBe(false)
  })

  it('gets the names of what it points to, else its words, and none that it has', () => {
    expect(topicWords('How tall is it?', [user('Where does the Eiffel Tower stand?')], english)).toEqual([
      'Eiffel',
      'Tower',
    ])
    expect(topicWords('How long does it take?', [user('How is a stuck valve loosened?')], english)).toEqual([
      'stuck',
      'valve',
      'loosened',
    ])
    expect(topicWords('Does it wear out?', [user('Explain the gate valve')], english)).toEqual([
      'Explain',
      'gate',
      'valve',
    ])
    expect(topicWords('Is it exact?', [user('HNSW or flat search?')], english)).toEqual(['HNSW'])
    expect(topicWords('Is the tower open to them?', [user('Where is the tower of London?')], english)).toEqual([
      'London',
    ])
  })

  it('looks back to the last question that stands alone, and no further', () => {
    const said = [
      user('Who painted the Mona Lisa?'),
      assistant('Leonardo.'),
      user('Where does the Eiffel Tower stand?'),
      assistant('It stands in Paris [1].'),
      user('When was it built?'),
      assistant('It was built in 1889 [1].'),
    ]
    const words = topicWords('By whom?', said, english)
    expect(words).toEqual(expect.arrayContaining(['Eiffel', 'Tower']))
    expect(words).not.toEqual(expect.arrayContaining(['Mona']))
  })

  it('gets names of the last answer, not the words that begin its sentences', () => {
    const said = [
      user('Who designed the tower?'),
      assistant('Many did. The company of Gustave Eiffel designed it. Later it grew.'),
    ]
    expect(topicWords('When was it opened?', said, english)).toEqual(['designed', 'tower'])
    const words = topicWords('When was he born?', said, english)
    expect(words).toEqual(expect.arrayContaining(['designed', 'tower', 'Gustave', 'Eiffel']))
    expect(words).not.toEqual(expect.arrayContaining(['Many']))
    expect(words).not.toEqual(expect.arrayContaining(['Later']))
  })

  it('gets what was asked where it only names another thing', () => {
    const said = [user('How tall is the Eiffel Tower?'), assistant('330 metres.')]
    expect(topicWords('And Big Ben?', said, english)).toEqual(['tall'])
    expect(topicWords('What about the Shard?', said, english)).toEqual(['tall'])
    expect(topicWords('And how heavy is Big Ben?', said, english)).toEqual([])
    expect(topicWords('And how heavy is it?', said, english)).toEqual(['Eiffel', 'Tower'])
    expect(topicWords('And now?', said, english)).toEqual(['tall'])
  })

  it('has no words of a conversation where it stands alone, or where there is none', () => {
    expect(topicWords('How tall is the Big Ben clock?', [user('Where is the Eiffel Tower?')], english)).toEqual([])
    expect(topicWords('How tall is it?', [], english)).toEqual([])
    expect(topicWords('How tall is it?', [assistant('')], english)).toEqual([])
  })

  it('gets nine words at most, of turns of any length', () => {
    const long = Array.from({ length: 5_000 }, (_, i) => `word${i}`).join(' ')
    const said = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? user(`it ${long}`) : assistant(`The ${long}`)))
    expect(topicWords('How tall is it?', said, english).length).toBeLessThanOrEqual(9)
  })
})

describe('the questions a question is made of', () => {
  it.each([
    ['How tall is the tower? When was it built?', ['How tall is the tower?', 'When was it built? (tall tower)']],
    ['Who wrote Dune and when was the first film made?', ['Who wrote Dune', 'when was the first film made?']],
    ['Who wrote Dune, and how long is it?', ['Who wrote Dune', 'how long is it? (Dune)']],
    ['What do systems cost? Are they worth it?', ['What do systems cost?', 'Are they worth it? (systems cost)']],
    ['What is the difference between HNSW and IVF indexes?', ['HNSW', 'IVF indexes']],
    ['Compare the red pump with the blue pump.', ['the red pump', 'the blue pump']],
    ['Is LanceDB better: usearch vs. hnswlib?', undefined],
    ['usearch vs hnswlib', ['usearch', 'hnswlib']],
  ])('%s', (question, parts) => {
    if (parts !== undefined) expect(subQuestions(question, english)).toEqual(parts)
    else expect(subQuestions(question, english).length).not.toBe(1)
  })

  it.each([
    'What are the causes and symptoms of influenza?',
    'Which proteins bind DNA and are regulated by light?',
    'How do I add an adapter?',
    'Research and development',
    'and why',
    '',
  ])('are none where it asks one thing: %s', (question) => {
    expect(subQuestions(question, english)).toEqual([])
  })

  it('are found in other languages', async () => {
    expect(subQuestions('Wer schrieb Faust und wann erschien der zweite Teil?', await analyzerFor('german'))).toEqual([
      'Wer schrieb Faust',
      'wann erschien der zweite Teil?',
    ])
    expect(subQuestions('Qui a écrit Germinal et où se passe le roman ?', await analyzerFor('french'))).toHaveLength(2)
  })

  it('are four at most, of any text', () => {
    expect(subQuestions('Who is who there? '.repeat(500), english)).toEqual([])
    const many = Array.from({ length: 50 }, (_, i) => `Who built tower${i}?`).join(' ')
    expect(subQuestions(many, english)).toHaveLength(4)
    expect(subQuestions(`${'a and '.repeat(200_000)}who`, english).length).toBeLessThanOrEqual(4)
  })
})
