// The worker in TypeScript's SDK of R1 to R3: gives each task's input back.

import { Worker } from "../../sdk/typescript/dist/index.js";

const worker = new Worker({ slots: 256, name: "bench-typescript" });

worker.handler("conformance.echo", (input) => input);

await worker.run();
