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

/* The value, and a new rendering whenever it changes: also between the first one and its effect,
 * when nobody watches yet. */
export function useValue(source) {
  const [, render] = useState(0);
  const shown = source.get();
  useEffect(() => {
    const again = () => render((n) => n + 1);
    if (!Object.is(shown, source.get())) again();
    return source.watch(again);
  }, [source]);
  return shown;
}
