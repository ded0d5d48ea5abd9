/*
 * A form made from a table of parameters (GET /v1/methods). A field that is left empty is not
 * sent: the server's default holds, which may depend on the data.
 */
function Help({ id, param }) {
  const { min, max } = param;
  const range = Number.isFinite(min) && Number.isFinite(max) ? ` (${min} to ${max})` : '';
  return <small id={id} class="quiet">{param.help}{range}</small>;
}

function Input({ param, value, set, id }) {
  const common = { id, 'aria-describedby': `${id}-help`, name: param.name };
  const ours = param.default === null ? 'by the data' : String(param.default);
  if (param.type === 'bool' || param.type === 'choice') {
    const choices = param.type === 'bool' ? ['true', 'false'] : param.choices;
    return (
      <select {...common} value={value ?? ''} onChange={(event) => set(event.target.value)}>
        <option value="">{ours}</option>
        {choices.filter((one) => one !== ours || one === value)
          .map((one) => <option key={one} value={one}>{one}</option>)}
      </select>
    );
  }
  return (
    <input {...common} type="number" inputmode="decimal" value={value ?? ''} placeholder={ours}
      step={param.type === 'int' ? 1 : 'any'} min={param.min ?? undefined}
      max={param.max ?? undefined} onInput={(event) => set(event.target.value)} />
  );
}

export function ParamForm({ params, values, set, prefix = 'param' }) {
  return (
    <div class="params">
      {params.map((param) => {
        const id = `${prefix}-${param.name}`;
        return (
          <div class="field" key={param.name}>
            <label for={id}>{param.title || param.name.replaceAll('_', ' ')}</label>
            <Input id={id} param={param} value={values[param.name]} set={(value) => {
              const { [param.name]: _, ...rest } = values;
              set(value === '' ? rest : { ...rest, [param.name]: value });
            }} />
            <Help id={`${id}-help`} param={param} />
          </div>
        );
      })}
    </div>
  );
}

const READ = { int: Number, real: Number, bool: (text) => text === 'true', choice: (text) => text };

/* What was filled in, in the types of the table. */
export function readParams(params, values) {
  return Object.fromEntries(params.filter((param) => param.name in values)
    .map((param) => [param.name, READ[param.type](values[param.name])]));
}
