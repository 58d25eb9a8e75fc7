/** Ten ways to ask one thing. */
export const ways = [
  'How tall is the tower in the city?',
  'What is the height of the tower in the city?',
  'How high is the tower in the city?',
  'Tell me the height of the tower in the city.',
  'What height does the tower in the city have?',
  'Can you tell me how tall the city tower is?',
  'Which height does the tower of the city have?',
  'Please explain how tall the tower in the city is.',
  'What is the total height of the tower in the city?',
  'How many floors up does the tower in the city go?',
]
