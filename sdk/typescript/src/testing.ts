/**
 * Tests against a real server: `startServer` starts the `surefoot` program on a free port of this
 * machine, with an empty store.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, openSync, readFileSync, closeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "./client.js";
import type { Source } from "./sources.js";
import type { Worker } from "./worker.js";

const START_MS = 30_000;
const STOP_MS = 10_000;

/** The `surefoot` program is nowhere to be found. */
export class MissingProgram extends Error {
  override name = "MissingProgram";
}

/** Returns the `surefoot` program: `SUREFOOT_BIN`, or the one in the search path. */
export function program(): string {
  const named = process.env["SUREFOOT_BIN"];
  if (named) {
    if (isProgram(named)) return named;
    throw new MissingProgram(`SUREFOOT_BIN names ${named}, which is not there`);
  }
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((it) => it !== "");
  const found = folders.map((it) => join(it, "surefoot")).find(isProgram);
  if (found) return found;
  throw new MissingProgram("there is no `surefoot` in the search path; install it, or set SUREFOOT_BIN");
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface StartServerOptions {
  /** Deployed before the server is returned. */
  definitions?: readonly Source[];
  binary?: string;
  /** Passed on to `surefoot server`. */
  arguments?: readonly string[];
}

/** Starts a server. `stop` it at the end of the test: it leaves nothing behind. */
export async function startServer(options: StartServerOptions = {}): Promise<Server> {
  const home = await mkdtemp(join(tmpdir(), "surefoot-"));
  const server = new Server(options.binary ?? program(), options.arguments ?? [], home);
  try {
    await server.start();
    for (const definition of options.definitions ?? []) await server.client.deploy(definition);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

export class Server {
  #process: ChildProcess | undefined;
  #address = "127.0.0.1:0";

  constructor(
    private readonly binary: string,
    private readonly more: readonly string[],
    private readonly home: string,
  ) {}

  get url(): string {
    return `http://${this.#address}`;
  }

  /** A client of this server. */
  get client(): Client {
    return new Client({ server: this.url });
  }

  /** What the server has written so far. */
  get log(): string {
    return readFileSync(join(this.home, "server.log"), "utf8");
  }

  async start(): Promise<void> {
    // The server's own settings, not those of whoever runs the tests.
    const known = Object.entries(process.env).filter(([name]) => !name.startsWith("SUREFOOT_"));
    const log = openSync(join(this.home, "server.log"), "w");
    const options = ["server", "--listen", this.#address, ...this.more];
    this.#process = spawn(this.binary, options, {
      cwd: this.home,
      env: Object.fromEntries(known),
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#address = await this.#addressOf(this.#process);
  }

  /** Waits until the server says where it listens. */
  async #addressOf(process: ChildProcess): Promise<string> {
    const end = performance.now() + START_MS;
    while (performance.now() < end) {
      const hasEnded = process.exitCode !== null || process.signalCode !== null;
      const found = /http:\/\/(127\.0\.0\.1:[0-9]+)/.exec(this.log)?.[1];
      if (found) return found;
      if (hasEnded) throw new Error(`the server ended with ${process.exitCode}:\n${this.log}`);
      await sleep(5);
    }
    throw new Error(`the server did not start in ${START_MS} ms:\n${this.log}`);
  }

  /** Starts the server anew, with the same store at the same address. */
  async restart(options: { kill?: boolean } = {}): Promise<void> {
    await this.#end(options.kill ? "SIGKILL" : "SIGTERM");
    await this.start();
  }

  /** Stops the server, and removes its store. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    await rm(this.home, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, "exit");
    process.kill(signal);
    const patience = setTimeout(() => process.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(patience);
  }
}

/** Runs a worker while `test` is executed, and lets it finish what it has. */
export async function running<T>(
  worker: Worker,
  server: Server | string,
  test: () => Promise<T>,
): Promise<T> {
  const url = typeof server === "string" ? server : server.url;
  const work = worker.serve({ server: url });
  try {
    // A worker that is refused fails the test at once; one that is drained does not end it.
    return await Promise.race([test(), work.then(() => new Promise<never>(() => {}))]);
  } finally {
    worker.stop();
    await work;
  }
}
