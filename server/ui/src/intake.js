/*
 * From dropped files to items, by the rules of the command-line client: beside boat.jpg, boat.txt
 * (or boat.jpg.txt) holds its text and boat.json whatever the API knows of an item; the folder
 * gives label and topic; a CSV has the columns id, image, text and label, others are metadata; a
 * line of NDJSON is an item as it is.
 */
const PICTURE = /\.(png|jpe?g|webp|gif|tiff?|bmp|svg)$/i;
const PICTURE_BYTES_MAX = 23 << 20; /* what fits into a line of an import, in base64 */
const MEMBERS = { id: 'id', texts: 'texts', text: 'texts', caption: 'texts', captions: 'texts',
  label: 'label', image: 'image', vectors: 'vectors', created_at: null, updated_at: null };

/* ---- what was dropped ---- */

const readEntries = (reader) => new Promise((resolve, reject) => {
  reader.readEntries(resolve, reject);
});
const fileOf = (entry) => new Promise((resolve, reject) => {
  entry.file(resolve, reject);
});

async function walk(entry, path, found) {
  if (entry.name.startsWith('.')) return;
  const here = path ? `${path}/${entry.name}` : entry.name;
  if (entry.isFile) {
    found.push({ path: here, file: await fileOf(entry) });
    return;
  }
  const reader = entry.createReader();
  for (let some = await readEntries(reader); some.length; some = await readEntries(reader)) {
    for (const child of some) await walk(child, here, found);
  }
}

/* [{path, file}] of a drop. The entries must be taken before the first await. */
export async function filesOfDrop(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...data.files];
  if (!entries.length) return plain.map((file) => ({ path: file.name, file }));
  const found = [];
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

export const filesOfInput = (list) => [...list].map((file) => ({
  path: file.webkitRelativePath || file.name, file }))
  .filter(({ path }) => !path.split('/').some((part) => part.startsWith('.')));

/* One folder around everything is where the files came from and says nothing of them. */
function withoutRoot(files) {
  const roots = new Set(files.map(({ path }) => (path.includes('/') ? path.split('/')[0] : '')));
  if (roots.size !== 1 || roots.has('')) return files;
  return files.map(({ path, file }) => ({ path: path.slice(path.indexOf('/') + 1), file }));
}

/* ---- sidecars ---- */

/* "de.utf8=Ein Pinguin.": such files hold English in the first line. */
const isTranslation = (line) => /^[\w@-]{1,30}\.utf8=/.test(line);

function textOf(content) {
  const text = content.replace(/^\uFEFF/, '');
  const lines = text.split('\n').map((line) => line.trim());
  return lines.some(isTranslation) ? lines[0] : text.trim();
}

function addMembers(item, object) {
  for (const [name, value] of Object.entries(object)) {
    if (name === 'metadata' && value && typeof value === 'object') {
      Object.assign(item.metadata, value);
    } else if (!(name in MEMBERS)) {
      item.metadata[name] = value;
    } else if (MEMBERS[name] === 'texts') {
      item.texts = Array.isArray(value) ? value : [String(value)];
    } else if (MEMBERS[name]) {
      item[MEMBERS[name]] = value;
    }
  }
}

async function readSidecars(byPath, path, item) {
  const stem = path.replace(/\.[^./]+$/, '');
  const find = (ending) => byPath.get(stem + ending) || byPath.get(path + ending);
  const text = find('.txt');
  const json = find('.json');
  if (text) {
    const words = textOf(await text.text());
    if (words) item.texts = [words];
  }
  if (json) {
    const object = JSON.parse(await json.text());
    if (!object || typeof object !== 'object' || Array.isArray(object)) {
      throw new Error('its .json must hold an object');
    }
    addMembers(item, object);
    delete item.image;
  }
}

function folders(path, levels) {
  const parts = path.split('/').slice(0, -1);
  return { label: parts.slice(0, levels).join('/') || null, topic: parts[0] };
}

async function readPicture(byPath, path, file, levels) {
  const { label, topic } = folders(path, levels);
  const item = { id: path, texts: [], label, metadata: topic ? { topic } : {} };
  const record = { origin: path, file, item, problem: null };
  try {
    await readSidecars(byPath, path, item);
  } catch (error) {
    record.problem = `its .json: ${error.message}`;
  }
  if (file.size === 0) record.problem = 'the file is empty';
  if (file.size > PICTURE_BYTES_MAX) record.problem = 'the picture is larger than 23 MiB';
  return record;
}

/* ---- tables ---- */

/* Rows of fields; quotes as in RFC 4180, a tab where the first line has more tabs than commas. */
export function parseCsv(text) {
  const clean = text.replace(/^\uFEFF/, '');
  const head = clean.slice(0, clean.indexOf('\n') + 1 || undefined);
  const comma = head.split('\t').length > head.split(',').length ? '\t' : ',';
  const rows = [];
  let row = [];
  let field = '';
  let quoted = false;
  const endField = () => {
    row.push(field);
    field = '';
  };
  const endRow = () => {
    endField();
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  };
  for (let i = 0; i < clean.length; i++) {
    const c = clean[i];
    if (quoted && c === '"' && clean[i + 1] === '"') {
      field += '"';
      i++;
    } else if (c === '"' && (quoted || field === '')) quoted = !quoted;
    else if (quoted) field += c;
    else if (c === comma) endField();
    else if (c === '\n') endRow();
    else if (c !== '\r') field += c;
  }
  if (field !== '' || row.length) endRow();
  return rows;
}

const NUMBER = /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const numberOr = (text) => (NUMBER.test(text) ? Number(text) : text);

/* Beside the table, or anywhere below it by the end of its path. */
function findPicture(byPath, table, name) {
  const folder = table.includes('/') ? table.slice(0, table.lastIndexOf('/') + 1) : '';
  const direct = byPath.get(folder + name.replace(/^\.\//, ''));
  if (direct) return direct;
  const found = [...byPath].find(([path]) => path.endsWith(`/${name}`));
  return found?.[1] || null;
}

async function readTable(byPath, path, file, used) {
  const [heads = [], ...rows] = parseCsv(await file.text());
  const roles = heads.map((head) => ({ id: 'id', image: 'image', text: 'text', caption: 'text',
    label: 'label' }[head.trim().toLowerCase()] || 'metadata'));
  return rows.map((row, n) => {
    const item = { id: '', texts: [], label: null, metadata: {} };
    const record = { origin: `${path}, row ${n + 1}`, file: null, item, problem: null };
    row.forEach((value, i) => {
      if (value === '' || i >= heads.length) return;
      if (roles[i] === 'id') item.id = value;
      else if (roles[i] === 'text') item.texts.push(value);
      else if (roles[i] === 'label') item.label = value;
      else if (roles[i] === 'metadata') item.metadata[heads[i].trim()] = numberOr(value);
      else {
        record.file = findPicture(byPath, path, value);
        if (!record.file) record.problem = `there is no picture ${value} among the files`;
        else used.add(record.file);
        item.id ||= value;
      }
    });
    if (!item.id) record.problem = 'it has neither an id nor a picture to be named by';
    return record;
  });
}

async function readLines(path, file) {
  const lines = (await file.text()).split('\n').filter((line) => line.trim());
  return lines.map((line, n) => {
    const record = { origin: `${path}, line ${n + 1}`, file: null, item: null, problem: null };
    try {
      record.item = JSON.parse(line);
      if (typeof record.item?.id !== 'string') record.problem = 'it has no id';
    } catch (error) {
      record.problem = `it is no JSON: ${error.message}`;
    }
    record.item = { texts: [], label: null, metadata: {}, ...record.item };
    return record;
  });
}

/* ---- all of it ---- */

/* Items to be added, by path, and files that are none; `levels` of folders make the label. */
export async function readFiles(files, levels) {
  const all = withoutRoot(files).sort((a, b) => (a.path < b.path ? -1 : 1));
  const byPath = new Map(all.map(({ path, file }) => [path, file]));
  const used = new Set();
  const records = [];
  for (const { path, file } of all) {
    if (/\.[ct]sv$/i.test(path)) records.push(...await readTable(byPath, path, file, used));
    else if (/\.(ndjson|jsonl)$/i.test(path)) records.push(...await readLines(path, file));
  }
  const ignored = [];
  for (const { path, file } of all) {
    if (used.has(file) || /\.([ct]sv|ndjson|jsonl|txt|json)$/i.test(path)) continue;
    if (PICTURE.test(path)) records.push(await readPicture(byPath, path, file, levels));
    else ignored.push(path);
  }
  return { records, ignored };
}
