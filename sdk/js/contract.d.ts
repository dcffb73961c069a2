/**
 * The contract's types as componentize-js has them: fleet:common, fleet:host and fleet:backend 0.1.0.
 *
 * Names are in camelCase, a u64 is a bigint, an absent option is undefined, a variant is `{ tag, val }`. What
 * each means is in `wit/`. A function whose result can be an error throws it: `thrown.payload` is a `FleetError`.
 * The imports themselves are in `imports.d.ts`.
 */

export type Attributes = [string, string][];
export type ErrorKind =
  | 'invalid' | 'not-found' | 'conflict' | 'denied' | 'unsupported'
  | 'unavailable' | 'deadline' | 'exhausted' | 'internal' | 'other';
export interface FleetError { kind: ErrorKind; code: string; message: string; retryAfterMs?: number; details: Attributes }
export interface Op { id: string; item: string; generation: bigint; attempt: bigint; verb: string; call: string }
export interface Handle { schema: number; opaque: Uint8Array }
export interface Page { cursor?: string; limit: number }
/** Made by an import, returned by an export. */
export interface Source { readonly _source: unique symbol }

export interface Description {
  name: string; version: string; handleSchema: number; reads: Uint32Array | number[]; configSchema: string;
  attributes: Attributes;
}
export interface Facilities { unusable?: string; attributes: Attributes }
export interface Port { name: string; inside: number; host: number }
export interface Limits { cpuMillis?: number; memoryBytes?: bigint; processes?: number; attributes: Attributes }
export interface Workload {
  id: string; name: string; node: string; command: string[]; env: Attributes; ports: Port[]; labels: Attributes;
  config: string; limits: Limits; attributes: Attributes;
}
export type KillTarget =
  | { tag: 'cgroup'; val: string } | { tag: 'process'; val: [number, bigint] } | { tag: 'other'; val: string };
export interface Created { handle: Handle; killTarget?: KillTarget }
export interface Progress { message: string; done?: [bigint, bigint]; retryAfterMs: number }
export type Creation =
  | { tag: 'ready'; val: Created } | { tag: 'pending'; val: Progress } | { tag: 'other'; val: string };
export interface Exit { code: number; signal?: string; atMs?: bigint }
export type RunState =
  | { tag: 'created' } | { tag: 'running' } | { tag: 'exited'; val: Exit }
  | { tag: 'lost'; val: string } | { tag: 'unknown'; val: string } | { tag: 'other'; val: string };
export interface Observation { state: RunState; startedAtMs?: bigint; attributes: Attributes }
export interface Listed { handle: Handle; workload: string; node: string; generation: bigint }
export interface Listing { entries: Listed[]; next?: string }

/** `fleet:backend/driver`: export it as `driver`. */
export interface Driver {
  describe(): Description;
  fingerprint(): Facilities;
  create(op: Op, workload: Workload): Creation;
  start(op: Op, handle: Handle): Handle;
  stop(op: Op, handle: Handle, signal: string): Handle;
  kill(op: Op, handle: Handle): Handle;
  destroy(op: Op, handle: Handle): void;
  inspect(handle: Handle): Observation;
  recover(handles: Handle[]): Observation[];
  list(page: Page): Listing;
  watch(handle: Handle): Source | undefined;
}
export interface LogOptions { follow: boolean; sinceMs?: bigint; tail?: bigint; cursor?: string }
/** `fleet:backend/logs`: export it as `logs`. */
export interface Logs { open(handle: Handle, options: LogOptions): Source }
/** `fleet:backend/input`: export it as `input`. */
export interface Input { send(op: Op, handle: Handle, bytes: Uint8Array): void }
export interface Size { columns: number; rows: number }
export interface ExecRequest { command: string[]; env: Attributes; terminal?: Size; attributes: Attributes }
export type ExecState =
  | { tag: 'running' } | { tag: 'exited'; val: Exit } | { tag: 'lost'; val: string } | { tag: 'other'; val: string };
/** `fleet:backend/exec`: export it as `exec`. */
export interface Exec {
  start(op: Op, handle: Handle, request: ExecRequest): string;
  open(handle: Handle, exec: string, cursor?: string): Source;
  inspect(handle: Handle, exec: string): ExecState;
  resize(handle: Handle, exec: string, size: Size): void;
  signal(op: Op, handle: Handle, exec: string, signal: string): void;
  remove(op: Op, handle: Handle, exec: string): void;
}
export interface Sample {
  cpuUs?: bigint; memoryBytes?: bigint; processes?: number; readBytes?: bigint; writtenBytes?: bigint;
  attributes: Attributes;
}
/** `fleet:backend/stats`: export it as `stats`. */
export interface Stats { take(handle: Handle): Sample }
/** `fleet:backend/signals`: export it as `signals`. */
export interface Signals { send(op: Op, handle: Handle, signal: string): void }
