import { useTranslator } from "../../i18n";
import "./charts.css";

interface Props {
  title: string;
  labels: string[];
  /** A row for each true label, a column for each predicted. */
  rows: number[][];
}

export function ConfusionMatrix({ title, labels, rows }: Props) {
  const { t, number } = useTranslator();
  const most = Math.max(1, ...rows.flat());
  return (
    <div className="matrix">
      <table>
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col">
              {t("chart.true")} \ {t("chart.predicted")}
            </th>
            {labels.map((label) => (
              <th key={label} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={labels[at]}>
              <th scope="row">{labels[at]}</th>
              {row.map((count, index) => (
                <td key={labels[index]} className={count > most / 2 ? "strong" : undefined}>
                  <span className="matrix-fill" style={{ opacity: count / most }} />
                  <span className="matrix-count">{number(count)}</span>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
