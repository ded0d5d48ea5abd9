/* Hooks that views share. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { epoch } from './api.js';
import { useValue } from './observable.js';

const KEPT = 100;
const kept = new Map(); /* key -> what was loaded last, shown until it is read again */

function keep(key, data) {
  kept.delete(key);
  kept.set(key, data);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/* What was known while something new is asked; an answer that it is gone ends that. */
const failed = (key, error) => (old) => {
  if (error.status === 404) kept.delete(key);
  return { key, data: error.status === 404 ? null : old.data, error, loading: false };
};

/*
 * What `load(signal)` gives, read again when `key` changes, when the server is back, and on
 * reload(). What was there before stays while the new comes, so that nothing jumps; `key` null
 * loads nothing.
 */
export function useLoad(key, load) {
  const [state, setState] = useState(() => ({ key, data: kept.get(key) ?? null, error: null,
    loading: true }));
  const [round, setRound] = useState(0);
  const era = useValue(epoch);
  const latest = useRef(load);
  latest.current = load;
  useLayoutEffect(() => { /* asked before the browser draws, which takes longer than the answer */
    if (key === null) {
      setState({ key, data: null, error: null, loading: false });
      return undefined;
    }
    const abort = new AbortController();
    setState((old) => (old.key === key && old.loading ? old : { key, loading: true, error: null,
      data: old.key === key ? old.data : kept.get(key) ?? null }));
    latest.current(abort.signal).then((data) => {
      if (abort.signal.aborted) return;
      keep(key, data);
      setState({ key, data, error: null, loading: false });
    }, (error) => !abort.signal.aborted && setState(failed(key, error)));
    return () => abort.abort();
  }, [key, round, era]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  const current = state.key === key;
  return { data: current ? state.data : kept.get(key) ?? null, error: current ? state.error : null,
    loading: key !== null && (!current || state.loading), reload };
}

/* Runs `tick` every `ms` while the page is looked at; null stops it. */
export function useEvery(ms, tick) {
  const latest = useRef(tick);
  latest.current = tick;
  useEffect(() => {
    if (ms === null) return undefined;
    const timer = setInterval(() => document.hidden || latest.current(), ms);
    return () => clearInterval(timer);
  }, [ms]);
}

export function useTitle(title) {
  useEffect(() => {
    document.title = title ? `${title} · Isthmus` : 'Isthmus';
  }, [title]);
}
