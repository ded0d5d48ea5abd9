/* Numbers, sizes and times as people read them. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/* Commas by hand: the first use of Intl costs more time than all else before the first result. */
export const count = (n) => String(n ?? 0).replace(/\B(?=(\d{3})+$)/g, ',');
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (x) => `${Math.round(x * 100)} %`;
export const figure = (x, digits = 3) => (x === null || x === undefined ? '–'
  : x.toFixed(digits).replace('-', '−'));

export function bytes(n) {
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export function time(text) {
  const date = new Date(text);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}

/* "metadata.year" is "year" to people. */
export const fieldName = (path) => path.replace(/^metadata\./, '');
