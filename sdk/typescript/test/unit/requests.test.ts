/** What requests are made of, and when they are made again. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../src/backoff.js";
import * as errors from "../../src/errors.js";
import { encode } from "../../src/json.js";
import { resolve } from "../../src/settings.js";
import { documents } from "../../src/sources.js";
import { Journal } from "../../src/stream.js";
import { Later, path, post, refusal, Transport } from "../../src/transport.js";

test("delays double up to the longest", () => {
  const delays = (random: number) => {
    const backoff = new Backoff(1000, 10_000, () => random);
    return [1, 2, 3, 4, 5, 10_000].map((it) => backoff.delayMs(it));
  };
  assert.deepEqual(delays(0), [500, 1000, 2000, 4000, 5000, 5000]);
  assert.deepEqual(delays(1), [1000, 2000, 4000, 8000, 10_000, 10_000]);
  assert.equal(new Backoff(1000, 10_000, () => 0).delayMs(1, 7000), 7000);
});

const STATUSES: [number, typeof errors.ProblemError][] = [
  [400, errors.Invalid],
  [401, errors.Unauthenticated],
  [403, errors.Forbidden],
  [404, errors.NotFound],
  [409, errors.Conflict],
  [410, errors.Gone],
  [412, errors.Conflict],
  [415, errors.Invalid],
  [422, errors.Invalid],
  [500, errors.ServerFault],
];

for (const [status, wanted] of STATUSES) {
  test(`${status} is final, and a ${wanted.name}`, () => {
    const response = new Response("{}", { status });
    const call = { method: "GET", path: "/v1/runs" };
    assert.throws(() => refusal(response, "{}", call), (it) => (it as Error).constructor === wanted);
  });
}

for (const [status, headers] of [[429], [502], [503], [504], [409, { "retry-after": "1" }]] as const) {
  test(`${status} is asked again`, () => {
    const response = new Response("{}", { status, headers: headers ?? {} });
    assert.ok(refusal(response, "{}", { method: "GET", path: "/" }) instanceof Later);
  });
}

test("patience has an end", () => {
  const transport = new Transport(resolve({ server: "http://x" }), 1000, 3);
  const busy = errors.problemError(503, {}, "GET /");
  assert.ok(transport.delayMs(2, new Later(busy, 0)) > 0);
  assert.throws(() => transport.delayMs(3, new Later(busy, 0)), errors.Busy);
  assert.throws(() => transport.delayMs(1, new Later(busy, 3_600_000)), errors.Busy);
  assert.throws(() => transport.delayMs(3, new errors.Unreachable("http://x", "refused")), errors.Unreachable);
});

test("a problem says what, where and how to mend it", () => {
  const document = { code: "SF4009", title: "no such run", detail: "run_1", hint: "List them." };
  const error = errors.problemError(404, document, "GET /v1/runs/run_1");
  assert.ok(error instanceof errors.NotFound);
  assert.deepEqual([error.name, error.code, error.hint], ["NotFound", "SF4009", "List them."]);
  const expected = "[SF4009] no such run: run_1 (404 to GET /v1/runs/run_1)\n  hint: List them.";
  assert.equal(error.message, expected);
});

test("a problem names each fault", () => {
  const faults = [{ pointer: "/a", message: "is no number" }, { pointer: "", message: "line 2: x" }];
  const error = errors.problemError(422, { title: "it is wrong", errors: [...faults, 5] }, "PUT /");
  assert.equal(error.message, "it is wrong (422 to PUT /)\n  /a is no number\n  line 2: x");
});

for (const body of ["", "null", "[]", '"x"', "<html>", '{"code": 5}']) {
  test(`whatever a proxy answers is an error of ours: ${body}`, () => {
    const response = new Response(body, { status: 500 });
    assert.throws(() => refusal(response, body, { method: "GET", path: "/" }), errors.ServerFault);
  });
}

test("parts of a path are escaped", () => {
  assert.equal(path("runs", "../x?y#z"), "/v1/runs/..%2Fx%3Fy%23z");
});

test("a repetition is known by its key", () => {
  const key = (needsKey: boolean) => post("/", {}, needsKey).headers?.["Idempotency-Key"];
  assert.notEqual(key(true), key(true));
  assert.equal(key(false), undefined);
});

const TWO = "# both\n---\nid: first\ntasks: {}\n--- # next\nid: 'shop.second'\ntasks: {}\n";

test("a source is split into its workflows", async () => {
  const workflows = async (source: Parameters<typeof documents>[0]) =>
    (await documents(source)).map((it) => it.workflow);
  assert.deepEqual(await workflows("# yaml-language-server: x\nid: order # its name\n"), ["order"]);
  assert.deepEqual(await workflows(TWO), ["first", "shop.second"]);
  assert.deepEqual(await workflows('{"id": "order"}'), ["order"]);
  assert.deepEqual(await workflows({ id: "order" }), ["order"]);
  for (const bad of ["tasks: {}\n", "{}", { id: 5 }]) await assert.rejects(documents(bad), TypeError);
});

const CIRCLE: unknown[] = [];
CIRCLE.push(CIRCLE);

for (const value of [NaN, { a: [Infinity] }, "\ud800", 5n, CIRCLE]) {
  test(`what JSON cannot tell is refused: ${typeof value}`, () => {
    assert.throws(() => encode(value), TypeError);
  });
}

test("values become JSON", () => {
  assert.equal(encode(undefined), "null");
  assert.equal(encode({ at: new Date(0), text: "🦶", no: undefined }), '{"at":"1970-01-01T00:00:00.000Z","text":"🦶"}');
});

test("an address without sense is refused", () => {
  for (const server of ["127.0.0.1:7070", "ftp://x", "nonsense"]) {
    assert.throws(() => resolve({ server }), /not the address of a server/);
  }
  const settings = resolve({ server: "https://flows.example/", token: "s3cret" });
  assert.equal(settings.server, "https://flows.example");
  assert.equal(settings.headers["Authorization"], "Bearer s3cret");
});

test("stored and live records are joined", () => {
  const journal = new Journal();
  const record = (seq: number) => ({ seq, at: "2027-01-01T00:00:00Z", events: [{ type: "x" }] });
  const event = (type: string, data = {}) => ({ type, id: "", data });
  const told = (records: ReturnType<typeof record>[]) => journal.fresh(records).map((it) => it.seq);
  assert.equal(journal.live(event("opened")), undefined, "the stored ones first");
  assert.deepEqual(told([record(0), record(1)]), [0, 1]);
  assert.deepEqual(told([record(1), record(2)]), [2], "what was stored is not told again");
  assert.deepEqual(journal.live(event("record", record(3))), [record(3)]);
  assert.equal(journal.live(event("record", record(4))), undefined, "a gap is filled");
  assert.equal(journal.live(event("reset")), undefined);
  assert.deepEqual(journal.live(event("log")), []);
  assert.ok(Journal.hasEnded(event("record", { status: "failed" })));
});
