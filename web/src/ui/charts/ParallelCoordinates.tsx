import { useMemo, useState } from "react";
import { useTranslator } from "../../i18n";
import "./charts.css";

export interface Axis {
  name: string;
  /** By run; undefined where it has none. Numbers are drawn to scale, texts in order. */
  values: (number | string | undefined)[];
}

const height = 260;
const gap = 180;
const margin = 80;

/** Every run as a line through its values: one sees which parameters go with which results. */
export function ParallelCoordinates({ axes, names }: { axes: Axis[]; names: string[] }) {
  const { t, number } = useTranslator();
  const [marked, setMarked] = useState<number>();
  const scales = useMemo(() => axes.map(scaleOf), [axes]);
  if (axes.length < 2) return null;
  const width = (axes.length - 1) * gap;
  return (
    <figure className="chart wide">
      <svg
        viewBox={`${-margin} -34 ${width + 2 * margin} ${height + 70}`}
        style={{ width: width + 2 * margin }}
        role="img"
        aria-label={t("chart.parallel")}
      >
        {axes.map(({ name }, index) => {
          const scale = scales[index] as Scale;
          return (
            <g key={name} transform={`translate(${index * gap} 0)`} className="chart-tick">
              <line y1={0} y2={height} />
              <text y={-16} textAnchor="middle">
                {name.length > 20 ? `${name.slice(0, 19)}…` : name}
                <title>{name}</title>
              </text>
              {scale.ticks.map(({ at, label }) => (
                <text key={label} x={6} y={(1 - at) * height + 4}>
                  {typeof label === "number" ? number(label, { maximumSignificantDigits: 4 }) : label.slice(0, 14)}
                </text>
              ))}
            </g>
          );
        })}
        {names.map((name, run) => {
          const points = axes.flatMap(({ values }, index) => {
            const at = (scales[index] as Scale).place(values[run]);
            return at === undefined ? [] : [`${index * gap},${(1 - at) * height}`];
          });
          return (
            <polyline
              key={run}
              className={`chart-line series-${run % 8} ${marked !== undefined && marked !== run ? "faint" : ""}`}
              points={points.join(" ")}
              onPointerEnter={() => setMarked(run)}
              onPointerLeave={() => setMarked(undefined)}
            >
              <title>{name}</title>
            </polyline>
          );
        })}
      </svg>
    </figure>
  );
}

interface Scale {
  /** From 0 below to 1 above. */
  place(value: number | string | undefined): number | undefined;
  ticks: { at: number; label: number | string }[];
}

function scaleOf({ values }: Axis): Scale {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length > 0 && values.every((value) => value === undefined || typeof value === "number")) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const place = (value: number) => (high === low ? 0.5 : (value - low) / (high - low));
    return {
      place: (value) => (typeof value === "number" ? place(value) : undefined),
      ticks:
        high === low
          ? [{ at: 0.5, label: low }]
          : [low, (low + high) / 2, high].map((label) => ({ at: place(label), label })),
    };
  }
  const texts = [...new Set(values.flatMap((value) => (value === undefined ? [] : [String(value)])))].sort();
  const place = (text: string) => (texts.length === 1 ? 0.5 : texts.indexOf(text) / (texts.length - 1));
  return {
    place: (value) => (value === undefined ? undefined : place(String(value))),
    ticks: texts.slice(0, 12).map((label) => ({ at: place(label), label })),
  };
}
