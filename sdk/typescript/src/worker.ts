/** Workers: programs that execute the custom tasks of workflows. */

import { hostname } from "node:os";

import type { Context } from "./context.js";
import { Gate } from "./gate.js";
import type { Registered } from "./execution.js";
import { Session } from "./session.js";
import { resolve, type ServerOptions } from "./settings.js";

const SLOTS_MAX = 1_000;

export type Handler<I, O> = (input: I, ctx: Context) => O | Promise<O>;

/** What checks an input: zod, valibot and arktype schemas are such (standardschema.dev). */
export interface Schema<I> {
  readonly "~standard": {
    readonly validate: (value: unknown) => Checked<I> | Promise<Checked<I>>;
  };
}

type Checked<I> =
  | { readonly value: I; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A schema, or a function that returns the input or throws. */
export type Input<I> = Schema<I> | ((value: unknown) => I);

export interface HandlerOptions<I> {
  /** An attempt that takes longer fails. */
  timeoutMs?: number;
  /** An input that does not fit fails the task for good. */
  input?: Input<I>;
}

export interface WorkerOptions extends ServerOptions {
  /** How many tasks are executed at once. */
  slots?: number;
  labels?: Readonly<Record<string, string>>;
  name?: string;
  /** How long handlers may take to end when the worker is told to stop. */
  drainMs?: number;
  /** Where the worker writes what happens to it; stderr if it is not given. */
  log?: (level: "info" | "warn", text: string) => void;
}

/**
 * Executes tasks of the kinds that it has handlers for, `slots` at once. Told to stop (SIGTERM,
 * SIGINT, `stop()`), it takes no more tasks, finishes those that it has, and gives others back.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #handlers = new Map<string, Registered>();
  readonly #stop = new Gate();
  #isRunning = false;

  constructor(options: WorkerOptions = {}) {
    const { slots = 8 } = options;
    if (!Number.isInteger(slots) || slots < 1 || slots > SLOTS_MAX) {
      throw new RangeError(`slots must be from 1 to ${SLOTS_MAX}, not ${slots}`);
    }
    this.#options = options;
  }

  /**
   * Makes a function the handler of tasks that say `uses: NAME`. What it returns is the task's
   * output; what it throws follows the definition's retry policy, save for `Fatal`.
   */
  handler<I = unknown, O = unknown>(
    uses: string,
    handle: Handler<I, O>,
    options: HandlerOptions<I> = {},
  ): this {
    if (this.#handlers.has(uses)) throw new Error(`there already is a handler for ${uses}`);
    const { timeoutMs, input } = options;
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw new RangeError(`the timeout of handler ${uses} must be more than nothing`);
    }
    // The input has the handler's type once `input` has seen it, or on the caller's word.
    const registered = { handle: handle as Registered["handle"], timeoutMs, input };
    this.#handlers.set(uses, registered);
    return this;
  }

  get capabilities(): string[] {
    return [...this.#handlers.keys()].sort();
  }

  /** Works until it is told to stop, by a signal of the system or by `stop`. */
  async run(): Promise<void> {
    const signals = ["SIGTERM", "SIGINT"] as const;
    const onSignal = () => {
      // A second one ends the process as it would without us.
      for (const it of signals) process.removeListener(it, onSignal);
      this.stop();
    };
    for (const it of signals) process.on(it, onSignal);
    try {
      await this.serve();
    } finally {
      for (const it of signals) process.removeListener(it, onSignal);
    }
  }

  /** Works until it is told to stop, in a program that handles signals itself. */
  async serve(options: { server?: string } = {}): Promise<void> {
    if (this.#handlers.size === 0) throw new Error("a worker without handlers has nothing to do");
    if (this.#isRunning) throw new Error("the worker already runs");
    const { name = `${hostname()}-node`, slots = 8, labels = {}, drainMs = 30_000 } = this.#options;
    const { log = logToTerminal, token, server } = this.#options;
    const settings = resolve({ server: options.server ?? server, token });
    const known = { name, slots, labels, drainMs, log };
    this.#isRunning = true;
    try {
      await new Session(known, this.#handlers, settings, this.#stop).serve();
    } finally {
      this.#isRunning = false;
      this.#stop.close();
    }
  }

  /** Asks the worker to end what it has begun and to stop. */
  stop(): void {
    this.#stop.open();
  }
}

function logToTerminal(level: string, text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase()} ${text}\n`);
}
