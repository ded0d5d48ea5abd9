/* A value that parts of the page watch: what the whole page shares is a handful of these. */
import { useEffect, useState } from 'preact/hooks';

export function observable(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/* The value, and a new rendering whenever it changes. */
export function useValue(source) {
  const [, render] = useState(0);
  useEffect(() => source.watch(() => render((n) => n + 1)), [source]);
  return source.get();
}
