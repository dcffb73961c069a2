import { host } from '../host.js';

export const writeSchema = () => host.writeSchema;
