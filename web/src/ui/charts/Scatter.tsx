import { useState } from "react";
import { useTranslator } from "../../i18n";
import { Select } from "../Select";
import type { Axis } from "./ParallelCoordinates";
import "./charts.css";

const width = 460;
const height = 300;

/** Two numbers of every run against each other. */
export function Scatter({ axes, names }: { axes: Axis[]; names: string[] }) {
  const { t, number } = useTranslator();
  const numeric = axes.filter(({ values }) => values.some((value) => typeof value === "number"));
  const [x, setX] = useState(numeric[0]?.name ?? "");
  const [y, setY] = useState(numeric.at(-1)?.name ?? "");
  const across = numeric.find(({ name }) => name === x);
  const up = numeric.find(({ name }) => name === y);
  if (!across || !up) return null;
  const range = ({ values }: Axis): [number, number] => {
    const numbers = values.filter((value) => typeof value === "number");
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    return low === high ? [low - 1, high + 1] : [low, high];
  };
  const [left, right] = range(across);
  const [bottom, top] = range(up);
  const options = numeric.map(({ name }) => ({ id: name, label: name }));
  return (
    <figure className="chart">
      <div className="toolbar">
        <Select label={t("chart.x")} value={x} onChange={setX} options={options} />
        <Select label={t("chart.y")} value={y} onChange={setY} options={options} />
      </div>
      <svg viewBox={`-60 -14 ${width + 80} ${height + 60}`} role="img" aria-label={t("chart.scatter", { x, y })}>
        {[0, 0.5, 1].map((tick) => (
          <g key={tick} className="chart-tick">
            <line x1={0} x2={width} y1={tick * height} y2={tick * height} />
            <line x1={tick * width} x2={tick * width} y1={0} y2={height} />
            <text x={tick * width} y={height + 18} textAnchor="middle">
              {number(left + tick * (right - left), { maximumSignificantDigits: 4 })}
            </text>
            <text x={-8} y={(1 - tick) * height + 4} textAnchor="end">
              {number(bottom + tick * (top - bottom), { maximumSignificantDigits: 4 })}
            </text>
          </g>
        ))}
        {names.map((name, run) => {
          const [a, b] = [across.values[run], up.values[run]];
          if (typeof a !== "number" || typeof b !== "number") return null;
          return (
            <circle
              key={run}
              className={`chart-dot series-${run % 8}`}
              cx={((a - left) / (right - left)) * width}
              cy={(1 - (b - bottom) / (top - bottom)) * height}
              r={6}
            >
              <title>{`${name}: ${a}, ${b}`}</title>
            </circle>
          );
        })}
        <text x={width / 2} y={height + 40} textAnchor="middle">
          {x}
        </text>
      </svg>
    </figure>
  );
}
