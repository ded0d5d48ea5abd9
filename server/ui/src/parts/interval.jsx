/* A figure with its 95 % interval: the number, and where it lies between 0 and the greatest. */
import { figure } from '../format.js';

export function Interval({ of, most, chance, digits = 3, label }) {
  if (!of || of.value === null) return <span class="quiet">–</span>;
  const x = (value) => `${Math.min(100, Math.max(0, (value / most) * 100)).toFixed(2)}%`;
  const text = `${figure(of.value, digits)}, 95 % interval ${figure(of.low, digits)} to
    ${figure(of.high, digits)}`;
  return (
    <div class="interval">
      <span class="value">{figure(of.value, digits)}</span>
      <svg role="img" aria-label={`${label ? `${label}: ` : ''}${text}`} width="100%" height="14">
        <title>{text}</title>
        <line class="track" x1="0" x2="100%" y1="7" y2="7" />
        {chance !== undefined && chance !== null && (
          <line class="chance" x1={x(chance)} x2={x(chance)} y1="2" y2="12" />)}
        <line class="span" x1={x(of.low)} x2={x(of.high)} y1="7" y2="7" />
        <circle cx={x(of.value)} cy="7" r="4" />
      </svg>
    </div>
  );
}
