/** Workers and clients for Surefoot, the durable workflow engine. */

export { Client, Run } from "./client.js";
export type { ClientOptions, ResultOptions, RunsOptions, StartOptions } from "./client.js";
export type { Context, Level } from "./context.js";
export * from "./errors.js";
export type { Deployed, Event, Finding, LogLine, RunEvent, RunInfo } from "./models.js";
export { Worker } from "./worker.js";
export type { Handler, HandlerOptions, Input, Schema, WorkerOptions } from "./worker.js";
