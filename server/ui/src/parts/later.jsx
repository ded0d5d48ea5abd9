/*
 * A component whose script is fetched when it is first shown: what it needs must not delay what
 * everybody sees. It keeps its place meanwhile, and is asked for again when the server is back.
 */
import { useEffect } from 'preact/hooks';
import { epoch } from '../api.js';
import { observable, useValue } from '../observable.js';
import { ErrorLine } from './faces.jsx';

const LOST = new Error('A part of the page did not come. If the server was updated, '
  + 'load the page again.');

/* `load` imports a module with one component as its default; `waiting` stands in for it. */
export function later(load, waiting) {
  const state = observable({ part: null, error: null });
  let begun = null;
  const read = () => {
    begun ||= load().then((module) => state.set({ part: module.default, error: null }), () => {
      begun = null;
      state.set({ part: null, error: LOST });
    });
  };
  function Later(props) {
    const { part: Part, error } = useValue(state);
    const era = useValue(epoch);
    useEffect(read, [era]);
    if (Part) return <Part {...props} />;
    return error ? <ErrorLine error={error} retry={read} /> : waiting(props);
  }
  Later.read = read;
  return Later;
}
