/** A backend that does its worst: whatever its workload's `[config] deed` says, in `create`. */

const recurse = (depth) => recurse(depth + 1) + 1;

function perform(deed) {
  switch (deed) {
    case 'throw':
      throw new TypeError('on purpose');
    case 'recurse':
      return recurse(0);
    case 'spin':
      for (;;);
    case 'memory': {
      const everything = [];
      for (;;) everything.push(new Uint8Array(1 << 20).fill(1));
    }
    case 'never':
      return new Promise(() => {});
    case 'wrong-type':
      return { tag: 'ready', val: 7 };
    case 'no-such-case':
      return { tag: 'maybe', val: 7 };
    default:
      return { tag: 'ready', val: { handle: handleOf(deed), killTarget: undefined } };
  }
}

const handleOf = (text) => ({ schema: 1, opaque: new TextEncoder().encode(text) });
const running = () => ({ state: { tag: 'running' }, startedAtMs: undefined, attributes: [] });

export const driver = {
  describe() {
    const configSchema = '{"type": "object"}';
    return { name: 'hostile', version: '0.1.0', handleSchema: 1, reads: [1], configSchema, attributes: [] };
  },
  fingerprint: () => ({ unusable: undefined, attributes: [] }),
  create: (op, workload) => perform(JSON.parse(workload.config).deed),
  start: (op, handle) => handle,
  stop: (op, handle) => handle,
  kill: (op, handle) => handle,
  destroy() {},
  inspect: running,
  recover: (handles) => handles.map(running),
  list: () => ({ entries: [], next: undefined }),
  watch: () => undefined,
};
