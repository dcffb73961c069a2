/**
 * What a plugin imports by the contract's names: `import * as clock from 'fleet:host/clock@0.1.0'`.
 *
 * A file of its own without exports: only there does `declare module` declare a module.
 */

declare module 'fleet:host/log@0.1.0' {
  export function write(level: 'trace' | 'debug' | 'info' | 'warn' | 'error', message: string): void;
}
declare module 'fleet:host/config@0.1.0' {
  export function get(): string;
}
declare module 'fleet:host/clock@0.1.0' {
  export function now(): bigint;
  export function sinceBoot(): bigint;
}
declare module 'fleet:host/handles@0.1.0' {
  export function writeSchema(): number | undefined;
}
declare module 'fleet:host/lines@0.1.0' {
  import type { Source } from './contract.js';
  export type Origin = { tag: 'stdout' } | { tag: 'stderr' } | { tag: 'other'; val: string };
  export interface Line { timeMs: bigint; origin: Origin; bytes: Uint8Array; cursor: string }
  export function open(lines: Line[]): Source;
}
declare module 'fleet:host/process@0.1.0' {
  import type {
    Attributes, Op, Source, KillTarget, Exit, LogOptions, Page, ExecRequest, ExecState, Size, Sample,
  } from './contract.js';
  export interface Request {
    launcher: string; workload: string; command: string[]; env: Attributes; attributes: Attributes;
  }
  export interface Prepared { ref: string; killTarget?: KillTarget }
  export type State =
    | { tag: 'prepared' } | { tag: 'running' } | { tag: 'exited'; val: Exit }
    | { tag: 'lost'; val: string } | { tag: 'other'; val: string };
  export interface Status { state: State; pid?: number; startedAtMs?: bigint; attributes: Attributes }
  export interface ListedProcess { ref: string; workload: string; generation: bigint }
  export type Stream =
    | { tag: 'output'; val: LogOptions } | { tag: 'end' }
    | { tag: 'exec'; val: { exec: string; cursor?: string } } | { tag: 'other'; val: string };
  export function facilities(): Attributes;
  export function prepare(op: Op, request: Request): Prepared;
  export function start(op: Op, ref: string): Status;
  export function signal(op: Op, ref: string, signal: string): void;
  export function send(op: Op, ref: string, bytes: Uint8Array): void;
  export function kill(op: Op, ref: string): void;
  export function inspect(ref: string): Status;
  export function remove(op: Op, ref: string): void;
  export function list(page: Page): { entries: ListedProcess[]; next?: string };
  export function exec(op: Op, ref: string, request: ExecRequest): string;
  export function inspectExec(exec: string): ExecState;
  export function resizeExec(exec: string, size: Size): void;
  export function signalExec(op: Op, exec: string, signal: string): void;
  export function removeExec(op: Op, exec: string): void;
  export function usage(ref: string): Sample;
  export function open(ref: string, stream: Stream): Source;
}
declare module 'fleet:host/endpoint@0.1.0' {
  import type { Attributes, Op, Source } from './contract.js';
  export interface Request {
    method: string; path: string; query: Attributes; headers: Attributes; body?: string; attributes: Attributes;
  }
  export interface Response { status: number; headers: Attributes; body: Uint8Array; attributes: Attributes }
  export function get(endpoint: string, request: Request): Response;
  export function send(op: Op, endpoint: string, request: Request): Response;
  export function open(op: Op | undefined, endpoint: string, request: Request): Source;
}
