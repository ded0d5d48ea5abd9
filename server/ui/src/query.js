/*
 * A search in the address and as the API wants it. In the address: text, id (an item to search
 * with), side (its picture or its text), picture (a small copy of one that was dropped here, or
 * the number of one that only this visit knows), target, model, with (a second model), and a
 * filter as f.FIELD=VALUE (several: one of them), min.FIELD and max.FIELD.
 */
const SIDE_MAX = 256; /* pixels of a picture in the address; encoders see about as many */
const held = new Map(); /* pictures that no browser can draw: number -> base64 */

/* ---- values: a string stands as it is, unless it would be read as something else ---- */

function readValue(text) {
  try {
    const value = JSON.parse(text);
    return ['number', 'boolean', 'string'].includes(typeof value) ? value : text;
  } catch {
    return text;
  }
}

export function writeValue(value) {
  return typeof value === 'string' && readValue(value) === value ? value : JSON.stringify(value);
}

/* ---- filters ---- */

/* [{field, values, min, max}] in the order of the address. */
export function readFilter(params) {
  const rows = new Map();
  for (const [name, text] of params) {
    const [, kind, field] = name.match(/^(f|min|max)\.(.+)$/s) || [];
    if (!kind) continue;
    const row = rows.get(field) || { field, values: [], min: null, max: null };
    if (kind === 'f') row.values.push(readValue(text));
    else if (text !== '' && Number.isFinite(Number(text))) row[kind] = Number(text);
    rows.set(field, row);
  }
  return [...rows.values()];
}

function conditions(rows) {
  return rows.flatMap(({ field, values, min, max }) => [
    ...(values.length ? [{ in: { [field]: values } }] : []),
    ...(min !== null ? [{ gte: { [field]: min } }] : []),
    ...(max !== null ? [{ lte: { [field]: max } }] : []),
  ]);
}

export function filterJson(rows) {
  const all = conditions(rows);
  return all.length === 0 ? undefined : all.length === 1 ? all[0] : { all };
}

const quote = (value) => (typeof value === 'string'
  ? `"${value.replace(/[\\"]/g, '\\$&')}"` : String(value));

/* The short form, for lists of items. */
export function filterText(rows) {
  return rows.flatMap(({ field, values, min, max }) => [
    ...(values.length ? [`${field} in [${values.map(quote).join(', ')}]`] : []),
    ...(min !== null ? [`${field}>=${min}`] : []),
    ...(max !== null ? [`${field}<=${max}`] : []),
  ]).join(' and ');
}

/* ---- pictures ---- */

const base64Of = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});
export { base64Of };

const toUrl = (text) => text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
const fromUrl = (text) => text.replaceAll('-', '+').replaceAll('_', '/');

/* What goes into the address for a file: a copy of at most 256 pixels on white. What this browser
 * cannot draw (TIFF, say) goes to the server as it is, and the address only says which it was. */
export async function pictureParameter(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    const name = `held-${held.size + 1}`;
    held.set(name, await base64Of(file));
    return name;
  }
  const scale = Math.min(1, SIDE_MAX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const small = await new Promise((resolve) => canvas.toBlob(resolve, 'image/webp', 0.75));
  return toUrl(await base64Of(small));
}

/* Its bytes in base64; null: another visit's picture that the address does not hold. */
export function pictureBytes(parameter) {
  return parameter.startsWith('held-') ? held.get(parameter) || null : fromUrl(parameter);
}

export function pictureBlob(parameter) {
  const data = pictureBytes(parameter);
  if (!data) return null;
  const padded = data + '='.repeat((4 - (data.length % 4)) % 4);
  return new Blob([Uint8Array.from(atob(padded), (c) => c.charCodeAt(0))]);
}

/* ---- the query ---- */

export const readQuery = (params) => ({
  text: params.get('text') || '',
  id: params.get('id') || '',
  side: params.get('side') || '',
  picture: params.get('picture') || '',
  target: params.get('target') || 'any',
  model: params.get('model') || '',
  second: params.get('with') || '',
  filter: readFilter(params),
});

export const isEmpty = (query) => !query.text && !query.id && !query.picture;
export const isComposed = (query) => Boolean(query.text && (query.id || query.picture));

const padBase64 = (text) => text + '='.repeat((4 - (text.length % 4)) % 4);

function subject(query) {
  const picture = query.picture && { base64: padBase64(pictureBytes(query.picture) || '') };
  if (isComposed(query)) {
    return { compose: { image: query.id ? { id: query.id } : picture, text: query.text } };
  }
  if (query.text) return { text: query.text };
  if (query.picture) return { image: picture };
  return query.side ? { id: query.id, modality: query.side } : { id: query.id };
}

/* The body of POST …/query. */
export function queryBody(query, { model, limit, offset }) {
  const body = { query: subject(query), target: query.target, limit, offset,
    return: ['image', 'texts', 'label'] };
  const filter = filterJson(query.filter);
  if (filter) body.filter = filter;
  if (model) body.model = model;
  return body;
}
