/* The text format of /metrics, as far as the page shows it: {name: [{labels, value}]}. */
export function parseMetrics(text) {
  const all = {};
  for (const line of text.split('\n')) {
    const [, name, list, value] = line.match(/^(\w+)(?:\{(.*)\})? (\S+)$/) || [];
    if (!name) continue;
    const labels = {};
    for (const [, key, quoted] of (list || '').matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)) {
      labels[key] = quoted.replace(/\\(.)/g, '$1');
    }
    (all[name] ||= []).push({ labels, value: Number(value) });
  }
  return all;
}

export const valueOf = (all, name) => all[`isthmus_${name}`]?.[0]?.value ?? null;

/* A quantile of a histogram's buckets, by straight lines within each. */
function quantile(buckets, q) {
  const total = buckets.at(-1).value;
  let below = 0;
  let from = 0;
  for (const { labels, value } of buckets) {
    const to = labels.le === '+Inf' ? from : Number(labels.le);
    if (value >= q * total) {
      return value === below ? to : from + (to - from) * (q * total - below) / (value - below);
    }
    below = value;
    from = to;
  }
  return from;
}

/* [{operation, n, p50, p99}] in seconds, the busiest first. */
export function operations(all) {
  const byName = new Map();
  for (const row of all.isthmus_request_seconds_bucket || []) {
    const list = byName.get(row.labels.operation) || [];
    list.push(row);
    byName.set(row.labels.operation, list);
  }
  return [...byName].map(([operation, buckets]) => ({ operation, n: buckets.at(-1).value,
    p50: quantile(buckets, 0.5), p99: quantile(buckets, 0.99) }))
    .sort((a, b) => b.n - a.n);
}
