import { host } from '../host.js';

const BOOT_MS = 1_600_000_000_000n;

export const now = () => host.nowMs;
export const sinceBoot = () => host.nowMs - BOOT_MS;
