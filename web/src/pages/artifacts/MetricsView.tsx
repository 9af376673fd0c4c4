import { lazy, Suspense } from "react";
import type { Metrics } from "../../api/artifacts";
import { useTranslator } from "../../i18n";
import { ConfusionMatrix } from "../../ui/charts/ConfusionMatrix";
import { RocChart } from "../../ui/charts/RocChart";
import { valueText } from "../../ui/format";
import { Loading } from "../../ui/Notice";
import { Rows } from "./PreviewPane";

const Markdown = lazy(() => import("../../ui/Markdown"));

export const hasMetrics = (metrics: Metrics | undefined): boolean =>
  metrics !== undefined &&
  [
    metrics.scalars,
    metrics.values,
    metrics.confusion_matrices,
    metrics.roc_curves,
    metrics.tables,
    metrics.markdown,
  ].some((list) => list && list.length > 0);

/** Metrics and charts in the server's one shape, whichever SDK wrote them. */
export function MetricsView({ metrics }: { metrics: Metrics }) {
  const { t, number } = useTranslator();
  const named = ({ artifact_name, task_name, slice }: { artifact_name?: string; task_name?: string; slice?: string }) =>
    [task_name, artifact_name, slice].filter(Boolean).join(" · ");
  return (
    <div className="stack">
      {[...(metrics.scalars ?? []), ...(metrics.values ?? [])].length > 0 && (
        <dl className="facts card">
          {metrics.scalars?.map(({ name, value, format }) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>
                {number(value, { maximumSignificantDigits: 6, style: format === "PERCENTAGE" ? "percent" : "decimal" })}
              </dd>
            </div>
          ))}
          {metrics.values?.map(({ name, value }) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{valueText(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      {metrics.confusion_matrices?.map((matrix) => (
        <section key={named(matrix)} className="card">
          <ConfusionMatrix title={named(matrix) || t("chart.confusion")} labels={matrix.labels} rows={matrix.rows} />
        </section>
      ))}
      {metrics.roc_curves && metrics.roc_curves.length > 0 && (
        <section className="card">
          <RocChart
            curves={metrics.roc_curves.map((curve) => ({
              name: named(curve) || t("chart.roc"),
              points: curve.points,
              auc: curve.auc,
            }))}
          />
        </section>
      )}
      {metrics.tables?.map((table, index) => (
        <Rows key={index} rows={table.header ? [table.header, ...table.rows] : table.rows} header={!!table.header} />
      ))}
      {metrics.markdown?.map(({ text }) => (
        <section key={text} className="card">
          <Suspense fallback={<Loading />}>
            <Markdown text={text} />
          </Suspense>
        </section>
      ))}
    </div>
  );
}
