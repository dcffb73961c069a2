import type {
  Creation, Facilities, Handle, KillTarget, Listing, LogOptions, Observation, Op, Page, Source,
} from './contract.js';

export function facilities(): Facilities;
export function created(handle: Handle, prepared: { killTarget?: KillTarget }): Creation;
export function start(op: Op, ref: string): void;
export function observe(ref: string): Observation;
export function observeEach(handles: Handle[], look: (handle: Handle) => Observation): Observation[];
export function listing(page: Page, handleOf: (ref: string) => Handle): Listing;
export function end(ref: string): Source;
export function output(ref: string, options: LogOptions): Source;
