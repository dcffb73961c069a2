import { host } from '../host.js';

export const write = (level, message) => void host.lines.push([level, message]);
