/*
 * Jobs as they go: one is followed over its event stream while it runs and the page is looked at.
 * A browser opens few connections to one server, for all tabs together, so streams are few and
 * short: only what runs has one, and a hidden page has none.
 */
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { get } from './api.js';

export const isOver = (job) => ['done', 'failed', 'cancelled'].includes(job.state);

const STEPS = {
  state: (job, data) => ({ ...job, state: data.state }),
  progress: (job, data) => ({ ...job, ...data }),
  curve(job, { name, step, value }) {
    const points = job.curves[name] || [];
    if (points.length && points.at(-1)[0] >= step) return job;
    return { ...job, curves: { ...job.curves, [name]: [...points, [step, value]] } };
  },
  end: (job, data) => data,
};

/* Calls `change(job)` at most once a frame, and `change(job, true)` at the end; returns a stop. */
export function followJob(first, change) {
  let job = { ...first, curves: {} }; /* the stream tells them from the start */
  let source = null;
  let frame = 0;
  const stop = () => {
    source?.close();
    source = null;
    cancelAnimationFrame(frame);
    frame = 0;
  };
  const show = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      change(job);
    });
  };
  const start = () => {
    if (source || document.hidden) return;
    job = { ...job, curves: {} };
    source = new EventSource(`/v1/jobs/${first.id}/events`);
    for (const [name, step] of Object.entries(STEPS)) {
      source.addEventListener(name, (event) => {
        job = step(job, JSON.parse(event.data));
        if (name !== 'end') return show();
        stop();
        return change(job, true);
      });
    }
    source.onerror = async () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      stop(); /* the server refused; asking in the plain way says why, and notices if it is gone */
      try {
        job = await get(`/v1/jobs/${first.id}`);
        change(job, isOver(job));
      } catch { /* api.js knows */ }
    };
  };
  const look = () => (document.hidden ? stop() : start());
  document.addEventListener('visibilitychange', look);
  start();
  return () => {
    document.removeEventListener('visibilitychange', look);
    stop();
  };
}

/* The list with each running job kept up to date; `ended(job)` when one is over. */
export function useLiveJobs(list, ended) {
  const [, render] = useReducer((n) => n + 1, 0);
  const live = useRef(new Map()); /* id -> {job, stop} */
  const latest = useRef(ended);
  latest.current = ended;
  const running = list.filter((job) => job.state === 'running' || job.state === 'queued')
    .slice(-3);
  const key = running.map((job) => job.id).join();
  useEffect(() => {
    for (const job of running) {
      if (live.current.has(job.id)) continue;
      const row = { job, stop: null };
      live.current.set(job.id, row);
      row.stop = followJob(job, (now, over) => {
        row.job = now;
        render();
        if (over) latest.current?.(now);
      });
    }
  }, [key]);
  useEffect(() => () => {
    for (const row of live.current.values()) row.stop?.();
    live.current.clear();
  }, []);
  return list.map((job) => {
    const known = live.current.get(job.id)?.job;
    return known && !isOver(job) ? known : job;
  });
}

/* Waits for a job that a request began; {job} or a problem. */
export function waitForJob(job, progress) {
  return new Promise((resolve, reject) => {
    followJob(job, (now, over) => {
      progress?.(now);
      if (!over) return;
      if (now.state === 'done') resolve(now);
      else reject(Object.assign(new Error(now.error?.detail || `The job was ${now.state}.`),
        { code: now.error?.code }));
    });
  });
}
