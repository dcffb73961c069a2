import { source } from '../host.js';

export const open = (lines) => source({ lines });
