/** Text for people, on its way to the server. */

/** What is longer is cut: messages and log lines are no dumps. */
export const TEXT_CHARACTERS_MAX = 10_000;

/** Returns what can be sent of a text: a lone surrogate would make all of the request invalid. */
export function clean(text: string): string {
  return String(text).slice(0, TEXT_CHARACTERS_MAX).replace(/\p{Surrogate}/gu, "?");
}
