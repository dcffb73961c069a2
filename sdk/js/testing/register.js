/** Before tests: `node --import ./sdk/testing/register.js --test`. Then the imports of the contract are fakes. */

import { register } from 'node:module';

register('./resolve.js', import.meta.url);
