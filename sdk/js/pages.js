/** A part of a list: every list of the contract is paged. */

/**
 * The entries of one page, in the order of their keys, and the cursor of the next page. The cursor is a
 * key, so that what comes and goes between two pages moves nothing. Keys must be unique.
 */
export function pageOf(entries, page, key) {
  const after = page.cursor ?? '';
  const rest = entries.filter((entry) => key(entry) > after);
  rest.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const part = rest.slice(0, Math.max(page.limit, 1));
  return { entries: part, next: rest.length > part.length ? key(part.at(-1)) : undefined };
}
