import { useTranslator } from "../../i18n";
import "./charts.css";

export interface Curve {
  name: string;
  points: { false_positive_rate: number; true_positive_rate: number }[];
  auc?: number;
}

const side = 320;

/** ROC curves over each other, told apart by colour and dash. */
export function RocChart({ curves }: { curves: Curve[] }) {
  const { t, number } = useTranslator();
  const at = (value: number) => value * side;
  return (
    <figure className="chart">
      <svg viewBox={`-44 -10 ${side + 60} ${side + 56}`} role="img" aria-label={t("chart.roc")}>
        {[0, 0.25, 0.5, 0.75, 1].map((tick) => (
          <g key={tick} className="chart-tick">
            <line x1={0} x2={side} y1={at(tick)} y2={at(tick)} />
            <line x1={at(tick)} x2={at(tick)} y1={0} y2={side} />
            <text x={at(tick)} y={side + 16} textAnchor="middle">
              {tick}
            </text>
            <text x={-8} y={at(1 - tick) + 4} textAnchor="end">
              {tick}
            </text>
          </g>
        ))}
        <line className="chart-chance" x1={0} y1={side} x2={side} y2={0} />
        {curves.map(({ name, points }, index) => (
          <polyline
            key={name}
            className={`chart-line series-${index % 8}`}
            points={points
              .map(({ false_positive_rate: x, true_positive_rate: y }) => `${at(x)},${at(1 - y)}`)
              .join(" ")}
          />
        ))}
        <text x={side / 2} y={side + 38} textAnchor="middle">
          {t("chart.falsePositive")}
        </text>
        <text transform={`translate(-32 ${side / 2}) rotate(-90)`} textAnchor="middle">
          {t("chart.truePositive")}
        </text>
      </svg>
      <figcaption>
        <Legend
          names={curves.map(({ name, auc }) =>
            auc === undefined ? name : `${name} · AUC ${number(auc, { maximumFractionDigits: 3 })}`,
          )}
        />
      </figcaption>
    </figure>
  );
}

export function Legend({ names }: { names: string[] }) {
  return (
    <ul className="legend">
      {names.map((name, index) => (
        <li key={name}>
          <svg width="26" height="8" aria-hidden>
            <line className={`chart-line series-${index % 8}`} x1="0" x2="26" y1="4" y2="4" />
          </svg>
          <span className="ellipsis">{name}</span>
        </li>
      ))}
    </ul>
  );
}
