import type { ErrorKind, FleetError, Handle, Page } from './contract.js';

export * from './contract.js';

/** What to throw: an error with what the contract takes as its `payload`. */
export type Thrown = Error & { payload: FleetError };
type More = { retryAfterMs?: number; details?: [string, string][] };

export function error(kind: ErrorKind, code: string, message: string, more?: More): Thrown;
export function invalid(code: string, message: string): Thrown;
export function notFound(code: string, message: string): Thrown;
export function conflict(code: string, message: string): Thrown;
export function unsupported(code: string, message: string): Thrown;
export function unavailable(code: string, message: string, more?: More): Thrown;
export function internal(code: string, message: string): Thrown;
export function isKind(thrown: unknown, kind: ErrorKind): boolean;
export function orGone<T>(work: () => T): T | undefined;
export function exported<T extends object>(functions: T): T;
export const MAX_HANDLE_BYTES: number;
export function writeHandle(schema: number, state: object): Handle;
export function readHandle<T>(handle: Handle, schema: number, keys?: (keyof T & string)[]): T;
export function readConfig<T extends object>(config: string, defaults: T): T;
export function pageOf<T>(entries: T[], page: Page, key: (entry: T) => string): { entries: T[]; next?: string };
