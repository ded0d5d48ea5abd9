/* /docs: openapi.yaml, read and shown. Nothing here knows an operation by name. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { load } from 'js-yaml';
import { get } from '../api.js';
import { ErrorFace, Loading } from '../parts/faces.jsx';
import { useLoad, useTitle } from '../use.js';

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

const resolve = (spec, node) => {
  let at = node;
  while (at?.$ref) {
    at = at.$ref.slice(2).split('/').reduce((inner, part) => inner?.[part], spec);
  }
  return at || {};
};

/* `code`, *…* and paragraphs are all that descriptions use. */
function Prose({ text }) {
  if (!text) return null;
  return text.trim().split(/\n\n+/).map((paragraph, i) => (
    <p key={i}>{paragraph.split(/(`[^`]+`)/).map((part) => (part.startsWith('`')
      ? <code>{part.slice(1, -1)}</code> : part))}</p>));
}

/* ---- schemas ---- */

function typeOf(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  return [schema.type || []].flat().join(' or ');
}

const LIMITS = [['minimum', '≥ '], ['maximum', '≤ '], ['minLength', 'at least '],
  ['maxLength', 'at most '], ['maxItems', 'at most '], ['pattern', ''], ['format', '']];

function limitsOf(schema) {
  return LIMITS.filter(([name]) => schema[name] !== undefined)
    .map(([name, word]) => `${word}${schema[name]}`).join(', ');
}

function Schema({ spec, schema, depth = 0, hide }) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1);
    if (depth > 0) return <a href={`#schema-${name}`}>{name}</a>;
    return <Schema spec={spec} schema={resolve(spec, schema)} hide={hide} />;
  }
  const several = schema.oneOf || schema.anyOf;
  const inner = (one, key) => <Schema key={key} spec={spec} schema={one} depth={depth + 1} />;
  return (
    <>
      {!hide && <span class="type">{typeOf(schema)}{schema.type === 'array' && ' of '}</span>}
      {schema.type === 'array' && schema.items && inner(schema.items)}
      {several && several.map((one, i) => <>{i > 0 && ' or '}{inner(one, i)}</>)}
      {schema.allOf?.map(inner)}
      {limitsOf(schema) && <small class="quiet"> {limitsOf(schema)}</small>}
      {schema.default !== undefined && <small class="quiet"> default {JSON.stringify(
        schema.default)}</small>}
      {schema.description && depth > 0 && <small> {schema.description}</small>}
      {schema.properties && (
        <dl class="members">
          {Object.entries(schema.properties).map(([name, one]) => (
            <div key={name}>
              <dt><code>{name}</code>{schema.required?.includes(name)
                && <small class="bad"> required</small>}</dt>
              <dd>{inner(one)}</dd>
            </div>))}
        </dl>)}
    </>
  );
}

/* ---- an operation ---- */

const quoteShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function exampleOf(spec, operation, parameters) {
  let path = operation.path;
  const search = [];
  for (const parameter of parameters) {
    const value = parameter.example ?? parameter.schema?.example;
    if (parameter.in === 'path') {
      path = path.replace(`{${parameter.name}}`, encodeURIComponent(value ?? parameter.name));
    } else if (parameter.in === 'query' && parameter.required) {
      search.push(`${parameter.name}=${encodeURIComponent(value ?? '')}`);
    }
  }
  const [type, content] = Object.entries(operation.requestBody?.content || {})[0] || [];
  const example = content?.example ?? Object.values(content?.examples || {})[0]?.value;
  const lines = [`curl ${operation.method === 'get' ? '' : `-X ${operation.method.toUpperCase()} `}`
    + quoteShell(location.origin + path + (search.length ? `?${search.join('&')}` : ''))];
  if (type && type !== 'multipart/form-data') {
    lines.push(`-H 'Content-Type: ${type}'`);
    lines.push(example === undefined ? '--data-binary @FILE'
      : `--data-binary ${quoteShell(typeof example === 'string' ? example
        : JSON.stringify(example))}`);
  }
  return lines.join(' \\\n  ');
}

function Parameters({ spec, list }) {
  if (!list.length) return null;
  return (
    <>
      <h4>Parameters</h4>
      <dl class="members">
        {list.map((one) => (
          <div key={one.name}>
            <dt><code>{one.name}</code> <small class="quiet">{one.in}</small>
              {one.required && <small class="bad"> required</small>}</dt>
            <dd><Schema spec={spec} schema={one.schema || {}} depth={1} />
              {one.description && <small> {one.description}</small>}</dd>
          </div>))}
      </dl>
    </>
  );
}

function Bodies({ spec, content }) {
  return Object.entries(content || {}).map(([type, { schema }]) => (
    <div key={type} class="body"><code class="quiet">{type}</code>{' '}
      {schema && <Schema spec={spec} schema={schema} depth={schema.$ref ? 1 : 0} />}</div>));
}

/* What is folded away is not made: the contract is long. */
function Folded({ id, summary, children }) {
  const [open, setOpen] = useState(location.hash === `#${id}`);
  return (
    <details class="operation" id={id} open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && <div class="inside">{children()}</div>}
    </details>
  );
}

function Inside({ spec, operation }) {
  const parameters = [...(operation.shared || []), ...(operation.parameters || [])]
    .map((one) => resolve(spec, one));
  const body = resolve(spec, operation.requestBody);
  return (
    <>
      <Prose text={operation.description} />
      <Parameters spec={spec} list={parameters} />
      {body.content && <><h4>Body</h4><Bodies spec={spec} content={body.content} /></>}
      <h4>Example</h4>
      <pre tabIndex={0}>{exampleOf(spec, operation, parameters)}</pre>
      <h4>Answers</h4>
      <dl class="members">
        {Object.entries(operation.responses).map(([status, response]) => {
          const answer = resolve(spec, response);
          return (
            <div key={status}>
              <dt><code>{status}</code></dt>
              <dd><Prose text={answer.description} />
                {Number(status) < 400 && <Bodies spec={spec} content={answer.content} />}</dd>
            </div>);
        })}
      </dl>
    </>
  );
}

const Line = ({ operation }) => (
  <>
    <b class={`verb ${operation.method}`}>{operation.method.toUpperCase()}</b>
    <code>{operation.path}</code> <span>{operation.summary}</span>
  </>
);

/* ---- all of it ---- */

function operationsOf(spec) {
  return Object.entries(spec.paths).flatMap(([path, node]) =>
    METHODS.filter((method) => node[method]).map((method) => ({ ...node[method], path, method,
      shared: node.parameters })));
}

export default function Docs() {
  useTitle('API');
  const text = useLoad('openapi', (signal) => get('/openapi.yaml', { signal }));
  const spec = useMemo(() => (text.data ? load(text.data) : null), [text.data]);
  const [find, setFind] = useState('');
  /* A link to a schema opens it. */
  useEffect(() => {
    const show = () => {
      const there = document.getElementById(location.hash.slice(1));
      if (there?.matches('details')) there.open = true;
      there?.scrollIntoView();
    };
    addEventListener('hashchange', show);
    show();
    return () => removeEventListener('hashchange', show);
  }, [spec]);
  if (text.error) return <ErrorFace error={text.error} retry={text.reload} />;
  if (!spec) return <Loading />;
  const wanted = find.toLowerCase();
  const all = operationsOf(spec).filter((one) => `${one.method} ${one.path} ${one.summary}
    ${one.operationId}`.toLowerCase().includes(wanted));
  return (
    <div class="docs-view wide">
      <h1>{spec.info.title} {spec.info.version}: the API</h1>
      <Prose text={spec.info.description} />
      <p><a href="/openapi.yaml">openapi.yaml</a></p>
      <input type="search" class="find" value={find} placeholder="Find an operation"
        aria-label="Find an operation" onInput={(event) => setFind(event.target.value)} />
      {spec.tags.map((tag) => {
        const rows = all.filter((one) => one.tags?.includes(tag.name));
        return rows.length > 0 && (
          <section key={tag.name}>
            <h2>{tag.name}</h2>
            <p class="quiet">{tag.description}</p>
            {rows.map((one) => (
              <Folded key={one.operationId} id={one.operationId}
                summary={<Line operation={one} />}>
                {() => <Inside spec={spec} operation={one} />}
              </Folded>))}
          </section>);
      })}
      {!wanted && <section>
        <h2>schemas</h2>
        {Object.entries(spec.components.schemas).map(([name, schema]) => (
          <Folded key={name} id={`schema-${name}`} summary={<code>{name}</code>}>
            {() => <><Prose text={schema.description} /><Schema spec={spec} schema={schema} /></>}
          </Folded>))}
      </section>}
    </div>
  );
}
