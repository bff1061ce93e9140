// The messages of the view "Compare the ways". They are from somebody to the same, and nobody's to read: the chat does not show them.

export const textOf = (count, random) => `Comparison ${count} ${random}`;
export const isOfComparison = message => message.from === message.to && /^Comparison \d+ [0-9a-f]{8}$/.test(message.text);
