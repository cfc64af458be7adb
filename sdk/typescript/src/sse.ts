/** Server-sent events: bytes in, messages out. */

/** A message that is longer is an attack or a bug, not an event. */
export const MESSAGE_CHARACTERS_MAX = 16 * 1024 * 1024;

/** One message of the stream. `id` is the last one that was given, as the standard says. */
export interface Message {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** Takes the stream in pieces, cut anywhere, also inside of a character or a line end. */
export class Parser {
  #text = "";
  #event = "";
  #data: string[] = [];
  readonly #decoder = new TextDecoder();

  constructor(
    public lastId = "",
    private readonly charactersMax = MESSAGE_CHARACTERS_MAX,
  ) {}

  /** Returns the messages that `piece` completes. */
  feed(piece: Uint8Array): Message[] {
    this.#text += this.#decoder.decode(piece, { stream: true });
    const messages: Message[] = [];
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine()) {
      const message = this.#line(line);
      if (message) messages.push(message);
    }
    const held = this.#data.reduce((sum, it) => sum + it.length, this.#text.length);
    if (held > this.charactersMax) {
      throw new RangeError(`an event is longer than ${this.charactersMax} characters`);
    }
    return messages;
  }

  #nextLine(): string | undefined {
    const end = this.#text.search(/[\r\n]/);
    // A CR that is the last of a piece may be the first half of CR LF.
    const isCut = this.#text[end] === "\r" && end + 1 === this.#text.length;
    if (end < 0 || isCut) return undefined;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(this.#text.startsWith("\r\n", end) ? end + 2 : end + 1);
    return line;
  }

  #line(line: string): Message | undefined {
    if (line === "") return this.#endOfMessage();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.lastId = value;
    // Others are comments (an empty name), `retry`, or not known.
    return undefined;
  }

  #endOfMessage(): Message | undefined {
    const [event, data] = [this.#event || "message", this.#data];
    [this.#event, this.#data] = ["", []];
    return data.length > 0 ? { event, data: data.join("\n"), id: this.lastId } : undefined;
  }
}
