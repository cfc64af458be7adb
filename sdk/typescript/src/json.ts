/** Values as JSON, where JSON can tell them. */

/**
 * Returns JSON, or throws where `JSON.stringify` would silently send something else: NaN and
 * infinity become null there, lone surrogates an escape that no server takes.
 */
export function encode(value: unknown): string {
  return JSON.stringify(value === undefined ? null : value, refuse) ?? "null";
}

function refuse(_key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new TypeError(`${value} cannot be told in JSON`);
  }
  // Half of a pair, without the other half.
  if (typeof value === "string" && /\p{Surrogate}/u.test(value)) {
    throw new TypeError("a text with a lone surrogate cannot be told in JSON");
  }
  return value;
}
