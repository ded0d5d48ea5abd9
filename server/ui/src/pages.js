/* Rows that come page by page as one scrolls. Pages are kept, so that Back shows them at once. */
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks';
import { epoch } from './api.js';
import { useValue } from './observable.js';

const KEPT = 12;
const kept = new Map(); /* key -> {pages, done, at} */

function keep(key, value) {
  kept.delete(key);
  kept.set(key, value);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

export function forgetPages() {
  kept.clear();
}

const EMPTY = { pages: [], done: false, error: null, loading: false };

/*
 * `load(cursor, signal)` gives {rows, next, …}; next null ends it. The first page is read by
 * itself, the others by more(). Rows of the key before stay until the new ones are there.
 */
export function usePages(key, load) {
  const [, render] = useReducer((n) => n + 1, 0);
  const era = useValue(epoch);
  const state = useRef(EMPTY);
  const shown = useRef({ key: null, era, stale: null });
  const abort = useRef(null);
  const latest = useRef(load);
  latest.current = load;

  const set = (change) => {
    state.current = { ...state.current, ...change };
    render();
  };

  if (shown.current.key !== key || shown.current.era !== era) {
    const old = state.current.pages;
    const same = shown.current.era === era && kept.get(key);
    shown.current = { key, era, stale: old.length ? old : shown.current.stale };
    abort.current?.abort();
    state.current = same ? { ...EMPTY, ...same } : { ...EMPTY, loading: true };
    if (state.current.pages.length) shown.current.stale = null;
  }

  const read = async () => {
    const { pages } = state.current;
    const cursor = pages.length ? pages.at(-1).next : null;
    const own = new AbortController();
    abort.current?.abort();
    abort.current = own;
    if (!state.current.loading) set({ loading: true, error: null });
    try {
      const page = await latest.current(cursor, own.signal);
      if (own.signal.aborted) return;
      const all = [...pages, page];
      shown.current.stale = null;
      keep(key, { pages: all, done: page.next === null });
      set({ pages: all, done: page.next === null, loading: false });
    } catch (error) {
      if (!own.signal.aborted) set({ error, loading: false });
    }
  };

  useLayoutEffect(() => { /* as in useLoad: before the browser draws */
    if (state.current.pages.length === 0) read();
    return () => abort.current?.abort();
  }, [key, era]);

  const { pages, done, error, loading } = state.current;
  const stale = pages.length === 0 && loading ? shown.current.stale : null;
  /* After a failure only retry() asks again: more() is called whenever the end is in sight. */
  return { pages: stale || pages, stale: Boolean(stale), done, error, loading,
    more: () => (!loading && !done && !error ? read() : undefined), retry: read };
}
