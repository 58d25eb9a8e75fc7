/**
 * A conversation about your documents, offline: each question is understood with what was said before.
 *
 *   npx tsx examples/chat.ts                     a few questions, one after the other
 *   npx tsx examples/chat.ts FILE…               your files, your questions: one a line, until Ctrl-D
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Chat, UltraFastRAG } from 'ultrafast-rag'

const handbook = [
  {
    id: 'eiffel-tower.md',
    text: '# Eiffel Tower\n\nThe Eiffel Tower is 330 metres tall. It was built in 1889 by the company of Gustave Eiffel.',
  },
  {
    id: 'big-ben.md',
    text: '# Big Ben\n\nThe tower of Big Ben is 96 metres tall. It was built in 1859, and its bell weighs 13.7 tonnes.',
  },
]
const questions = [
  'How tall is the Eiffel Tower?',
  'When was it built?',
  'And how tall is Big Ben?',
  'How much does its bell weigh?',
]

const files = process.argv.slice(2)
await using rag = new UltraFastRAG()
await rag.ingest(files.length === 0 ? handbook : files)
const chat = rag.chat({ maxTurns: 5 })

if (files.length === 0) for (const question of questions) await ask(chat, question)
else await converse(chat)

// What a chat remembers is plain data: keep it, and go on another day.
const another = rag.chat({ history: JSON.parse(JSON.stringify(chat.history)) })
console.log(`\n${another.history.length / 2} questions are remembered with their answers.`)

async function ask(chat: Chat, question: string): Promise<void> {
  console.log(`\nQ: ${question}`)
  process.stdout.write('A: ')
  for await (const event of chat.send(question)) {
    if (event.type === 'answer-delta') process.stdout.write(event.text)
    if (event.type !== 'metadata') continue
    console.log(event.outcome === 'no-answer' ? `(no answer) ${event.reason ?? ''}` : '')
    if (event.understood?.condensed !== undefined) console.log(`   understood as: ${event.understood.question}`)
  }
}

async function converse(chat: Chat): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  const asked = (async () => {
    for await (const line of lines) if (line.trim() !== '') await ask(chat, line)
  })()
  await Promise.all([asked, once(lines, 'close')])
}
