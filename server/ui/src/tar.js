/*
 * A folder as a tar: before each file a header of 512 bytes, after it zeros up to a multiple of
 * that, two empty blocks at the end. The files are named, not read: the browser reads them while it
 * sends, so that a gigabyte of weights never lies in memory.
 */
const BLOCK = 512;
const NAME_MAX = 99;
const FILES_MAX = 64; /* as the server has it */

const octal = (n, width) => n.toString(8).padStart(width, '0');

function header(name, size) {
  const block = new Uint8Array(BLOCK);
  const put = (at, text) => block.set(new TextEncoder().encode(text), at);
  put(0, name);
  put(100, octal(0o644, 7)); /* mode, then the owners */
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11)); /* a time of no meaning: equal folders are equal tars */
  put(148, ' '.repeat(8));
  put(156, '0');
  put(257, 'ustar\x0000');
  put(148, `${octal(block.reduce((a, b) => a + b, 0), 6)}\0 `);
  return block;
}

/* [{path, file}] of one folder: {name, tar} with what lies in it and one folder deeper. */
export function tarOfFolder(files) {
  const name = files[0]?.path.split('/')[0] || '';
  const members = files.map(({ path, file }) => ({ name: path.slice(name.length + 1), file }))
    .filter((one) => one.name && one.name.split('/').length <= 2);
  if (!members.some((one) => one.name === 'config.json')) {
    throw new Error('There is no config.json in that folder.');
  }
  if (members.length > FILES_MAX) throw new Error('So many files are no encoder.');
  const long = members.find((one) => new TextEncoder().encode(one.name).length > NAME_MAX);
  if (long) throw new Error(`The name of ${long.name} is too long.`);
  const parts = members.flatMap(({ name: inside, file }) => [header(inside, file.size), file,
    new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK)]);
  return { name, tar: new Blob([...parts, new Uint8Array(2 * BLOCK)],
    { type: 'application/x-tar' }) };
}
