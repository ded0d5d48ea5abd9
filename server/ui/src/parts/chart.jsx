/* Lines over steps, several runs in one picture; a table beneath says the same in numbers. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

const DASHES = [[], [8, 4], [2, 4], [10, 3, 2, 3]];
const N_COLOURS = 6;

const colour = (i) => getComputedStyle(document.documentElement)
  .getPropertyValue(`--series-${i % N_COLOURS}`).trim();
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* Beyond the colours, runs differ by their dashes, too. */
const lineOf = (run, i) => ({ label: run.label, stroke: colour(run.n ?? i), width: 2,
  dash: DASHES[Math.floor((run.n ?? i) / N_COLOURS) % DASHES.length], points: { show: false } });

const axis = () => ({ stroke: ink('--soft'), grid: { stroke: ink('--line'), width: 1 },
  ticks: { show: false }, font: '12px system-ui', size: 44 });

function dataOf(runs) {
  if (runs.length === 0) return [[]];
  return uPlot.join(runs.map(({ points }) => [points.map((p) => p[0]), points.map((p) => p[1])]));
}

export default function Chart({ runs, label, height, unit = 'step' }) {
  const box = useRef(null);
  const plot = useRef(null);
  const shape = runs.map((run) => `${run.label}/${run.n}`).join();
  useEffect(() => {
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot({
        width: box.current.clientWidth || 300, height, legend: { show: false },
        cursor: { drag: { x: false, y: false } }, scales: { x: { time: false } },
        axes: [{ ...axis(), size: 30 }, axis()],
        series: [{ label: unit }, ...runs.map(lineOf)],
      }, dataOf(runs), box.current);
    };
    make();
    scheme.addEventListener('change', make);
    const sized = new ResizeObserver(() => {
      const width = box.current?.clientWidth;
      if (width && width !== plot.current.width) plot.current.setSize({ width, height });
    });
    sized.observe(box.current);
    return () => {
      scheme.removeEventListener('change', make);
      sized.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [shape, height]);
  useEffect(() => plot.current?.setData(dataOf(runs)));
  return (
    <div class="chart" ref={box} role="img" aria-label={label}
      style={{ height: `${height}px` }} />
  );
}
