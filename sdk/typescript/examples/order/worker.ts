/**
 * The worker of the order workflow: everything that its definition leaves to functions.
 *
 *     surefoot dev &
 *     npm run build:tests
 *     node .build/examples/order/worker.js &
 *     node .build/examples/order/start.js
 */

import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { Fatal, Retry, Worker } from "surefoot";

export const worker = new Worker({ slots: 8, labels: { region: "eu" } });

// What the shop has. A real worker asks a database.
const STOCK = new Map([
  ["shoe", 100],
  ["hat", 5],
]);

interface Line {
  sku: string;
  n: number;
}

interface Order {
  order_id: string;
  total: number;
  items: Line[];
}

worker.handler<Order>("order.validate", ({ items }) => {
  const unknown = items.map((it) => it.sku).filter((it) => !STOCK.has(it));
  // No further attempt would help.
  if (unknown.length > 0) {
    throw new Fatal(`the shop does not sell ${unknown.join(", ")}`, { type: "unknown_item" });
  }
  return { lines: items.length };
});

worker.handler<{ order: string; amount: number }>(
  "order.pay",
  async ({ order, amount }, ctx) => {
    if (ctx.attempt === 1 && order.endsWith("-busy")) {
      throw new Retry("the bank is busy", { afterMs: 100 });
    }
    ctx.progress(0.5, "charging");
    await sleep(200, undefined, { signal: ctx.signal });
    ctx.log(`charged ${amount}`);
    // The same for every attempt, so the bank charges once however often it is asked.
    return { charge: `ch_${ctx.idempotencyKey}` };
  },
  { timeoutMs: 30_000 },
);

worker.handler<{ charge: string }>("order.refund", ({ charge }, ctx) => {
  ctx.log(`refunded ${charge}`);
});

worker.handler<Line>("order.reserve", ({ sku, n }) => {
  if ((STOCK.get(sku) ?? 0) < n) throw new Fatal(`${n} of ${sku} are too many`, { type: "sold_out" });
  return { reserved: n };
});

worker.handler<{ order: string }>("order.notify", ({ order }, ctx) => {
  ctx.log(`order ${order} is on its way`);
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await worker.run();
