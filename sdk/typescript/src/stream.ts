/** Following runs: the stream of events over its connections, and a run's journal within it. */

import { setTimeout as sleep } from "node:timers/promises";

import { SurefootError, Unreachable } from "./errors.js";
import { eventsOf, hasEnded, type Event, type JournalRecord, type RunEvent } from "./models.js";
import { Parser, type Message } from "./sse.js";
import { refusal, type Transport } from "./transport.js";

/**
 * The server says something every 15 seconds; a connection that is silent for three times as long
 * is dead without knowing it.
 */
const SILENCE_MAX_MS = 45_000;
/** The type of the event that tells of a connection. It is ours, not the server's. */
export const OPENED = "opened";

/** Follows topics for ever. A connection that breaks is made again and goes on where it was. */
export async function* follow(
  transport: Transport,
  topics: readonly string[],
  lastEventId = "",
): AsyncGenerator<Event, void, void> {
  let failures = 0;
  let lastId = lastEventId;
  for (;;) {
    const parser = new Parser(lastId);
    try {
      for await (const event of connection(transport, topics, parser)) {
        failures = 0;
        yield event;
      }
      // The server closed the stream in good order: it stops, and will be back.
      await sleep(transport.backoff.delayMs(1));
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      failures += 1;
      await sleep(transport.delayMs(failures, error.why));
    }
    lastId = parser.lastId;
  }
}

/** A connection that broke; what the caller of `follow` does with an event is not in it. */
class Broken extends Error {
  constructor(readonly why: SurefootError) {
    super(why.message);
  }
}

async function* connection(
  transport: Transport,
  topics: readonly string[],
  parser: Parser,
): AsyncGenerator<Event, void, void> {
  const silence = new Silence();
  try {
    const body = await open(transport, topics, parser.lastId, silence);
    yield { type: OPENED, id: parser.lastId, data: {} };
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await unbroken(transport, reader.read());
      if (done) return;
      silence.broken();
      for (const message of parser.feed(value)) yield eventOf(message);
    }
  } finally {
    silence.end();
  }
}

async function open(
  transport: Transport,
  topics: readonly string[],
  lastId: string,
  silence: Silence,
): Promise<ReadableStream<Uint8Array>> {
  const place = lastId ? { "Last-Event-ID": lastId } : {};
  const headers = { Accept: "text/event-stream", "Cache-Control": "no-store", ...place };
  const call = { method: "GET", path: "/v1/events", query: { topics: topics.join(",") }, headers };
  const response = await unbroken(transport, transport.fetch(call, silence.signal));
  if (response.status === 200 && response.body) return response.body;
  throw new Broken(refusal(response, await unbroken(transport, response.text()), call));
}

async function unbroken<T>(transport: Transport, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    throw new Broken(new Unreachable(transport.server, error));
  }
}

/** Aborts what has been silent for too long. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer = setTimeout(() => this.#controller.abort(), SILENCE_MAX_MS);

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  broken(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

function eventOf(message: Message): Event {
  let data: unknown;
  try {
    data = JSON.parse(message.data);
  } catch {
    data = undefined;
  }
  // What is not an object is no event of this version; its name and place still count.
  const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
  return { type: message.event, id: message.id, data: isObject ? (data as Event["data"]) : {} };
}

/** Joins a run's stored records with those that come live: each once, in order. */
export class Journal {
  nextSeq = 0;

  /** Returns the records of an event, or nothing if the stored ones have to be asked for. */
  live(event: Event): JournalRecord[] | undefined {
    if (event.type !== "record") {
      return event.type === OPENED || event.type === "reset" ? undefined : [];
    }
    const record = event.data as unknown as JournalRecord;
    const isGap = record.seq > this.nextSeq && this.nextSeq > 0;
    return isGap ? undefined : [record];
  }

  /** Returns the events of those records that were not told before. */
  fresh(records: readonly JournalRecord[]): RunEvent[] {
    return records.flatMap((record) => {
      if (record.seq < this.nextSeq) return [];
      this.nextSeq = record.seq + 1;
      return eventsOf(record);
    });
  }

  static hasEnded(event: Event): boolean {
    return event.type === "record" && hasEnded(event.data["status"]);
  }
}
