// Reads numbers from text fields.

/** Return the number in a text, or the text itself if it is none: the service then rejects it. */
export function numberOrText(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}
