/** Deploys the order workflow, starts it and tells what happens. */

import { readFile } from "node:fs/promises";

import { Client } from "surefoot";

interface Done {
  charge: string;
  reserved: number;
}

const client = new Client();
// The path is that of this package, from which the example is started.
await client.deploy(await readFile("examples/order/order.surefoot.yaml", "utf8"));
const order = { order_id: "8812", total: 129.9, items: [{ sku: "shoe", n: 1 }] };
const run = await client.start("order", order, { key: "order-8812" });
for await (const { type, task, detail } of run.events()) console.log(type, task, detail);
const done = await run.result<Done>({ timeoutMs: 60_000 });
console.log(`${done.reserved} reserved, paid with ${done.charge}`);
