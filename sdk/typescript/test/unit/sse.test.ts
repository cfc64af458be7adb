/** Server-sent events, whole and in pieces. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Parser, type Message } from "../../src/sse.js";

const message = (data: string, event = "message", id = ""): Message => ({ event, data, id });
const bytes = (text: string) => new TextEncoder().encode(text);

const CASES: [string, Message[]][] = [
  ["data: a\n\n", [message("a")]],
  ["event: record\nid: 7-1\ndata: {}\n\n", [message("{}", "record", "7-1")]],
  ["data: a\ndata: b\n\n", [message("a\nb")]],
  ["data:a\r\n\r\ndata:b\r\rdata:c\n\n", [message("a"), message("b"), message("c")]],
  [": hello\n\ndata: a\n\n", [message("a")]],
  ["id: 3\n\ndata: a\n\n", [message("a", "message", "3")]],
  ["id: 3\0\ndata: a\n\n", [message("a")]],
  ["event: log\n\ndata: a\n\n", [message("a")]],
  ["data\n\n", [message("")]],
  ["data: unfinished\n", []],
  ["\ufeffdata: ünï → 🦶\n\n", [message("ünï → 🦶")]],
  ["retry: 100\nnews: x\ndata: a: b\n\n", [message("a: b")]],
];

for (const [text, expected] of CASES) {
  test(`a stream is read: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(new Parser().feed(bytes(text)), expected);
  });
}

/** Numbers that are the same for the same seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let it = Math.imul(state ^ (state >>> 15), 1 | state);
    it = (it + Math.imul(it ^ (it >>> 7), 61 | it)) ^ it;
    return ((it ^ (it >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("cuts do not matter", () => {
  const stream = bytes(CASES.map(([text]) => text.replace("\ufeff", "")).join(""));
  const whole = new Parser().feed(stream);
  for (let seed = 1; seed <= 20; seed++) {
    const random = chance(seed);
    const parser = new Parser();
    const pieces: Message[] = [];
    for (let at = 0; at < stream.length; ) {
      const size = 1 + Math.floor(random() * 9);
      pieces.push(...parser.feed(stream.slice(at, at + size)));
      at += size;
    }
    assert.deepEqual(pieces, whole, `seed ${seed}`);
  }
});

test("the last id stays over messages without one", () => {
  const messages = new Parser("1").feed(bytes("data: a\n\nid: 2\ndata: b\n\ndata: c\n\n"));
  assert.deepEqual(messages.map((it) => it.id), ["1", "2", "2"]);
});

test("a message without end is refused", () => {
  const parser = new Parser("", 100);
  parser.feed(bytes("data: abc\n".repeat(10)));
  assert.throws(() => parser.feed(bytes("data: abc\n".repeat(30))), /longer than 100/);
});
