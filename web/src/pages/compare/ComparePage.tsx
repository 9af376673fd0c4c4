import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useSearchParams } from "react-router";
import { type Comparison, comparisonQuery, type ScalarRow } from "../../api/artifacts";
import type { Json } from "../../api/types";
import { useTranslator } from "../../i18n";
import { ConfusionMatrix } from "../../ui/charts/ConfusionMatrix";
import { type Axis, ParallelCoordinates } from "../../ui/charts/ParallelCoordinates";
import { RocChart } from "../../ui/charts/RocChart";
import { Scatter } from "../../ui/charts/Scatter";
import { duration, elapsed, valueText } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { StateBadge } from "../../ui/StateBadge";
import { useUrlState } from "../../ui/useUrlState";
import "./compare.css";

/** Runs side by side: what they were given, what came out, and where they differ. */
export function ComparePage() {
  const { t } = useTranslator();
  const [params] = useSearchParams();
  const ids = useMemo(() => (params.get("runs") ?? "").split(",").filter(Boolean), [params]);
  const query = useQuery(comparisonQuery(ids));
  return (
    <Page title={t("compare.title")} crumbs={[{ to: "/runs", label: t("runs.title") }]}>
      {ids.length === 0 ? (
        <Empty title={t("compare.none")}>
          <Link to="/runs">{t("compare.choose")}</Link>
        </Empty>
      ) : query.error ? (
        <ErrorNotice error={query.error} onRetry={() => query.refetch()} />
      ) : query.data ? (
        <Compared comparison={query.data} />
      ) : (
        <Loading />
      )}
    </Page>
  );
}

function Compared({ comparison }: { comparison: Comparison }) {
  const { t, number, time } = useTranslator();
  const [only, setOnly] = useUrlState("differences");
  const { runs } = comparison;
  const parameters = comparison.parameters?.filter(({ differs }) => !only || differs) ?? [];
  const scalars = (comparison.scalars ?? [])
    .map((row) => ({ ...row, differs: differ(row, runs) }))
    .filter(({ differs }) => !only || differs);
  const names = runs.map(({ display_name }) => display_name);
  const axes = useMemo(() => axesOf(comparison), [comparison]);
  const curves = runs.flatMap((run) =>
    (run.metrics?.roc_curves ?? []).map((curve) => ({
      name: [run.display_name, curve.task_name, curve.slice].filter(Boolean).join(" · "),
      points: curve.points,
      auc: curve.auc,
    })),
  );
  const show = (values: { value: number }[] | undefined) =>
    values?.map(({ value }) => number(value, { maximumSignificantDigits: 6 })).join(", ") ?? "—";
  return (
    <div className="stack">
      <label className="row">
        <input
          type="checkbox"
          checked={only !== ""}
          onChange={(event) => setOnly(event.target.checked ? "only" : "")}
        />
        {t("compare.onlyDifferences")}
      </label>
      <section className="table-frame compare" aria-label={t("compare.title")} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">
                <span>{t("field.name")}</span>
              </th>
              {runs.map((run) => (
                <th key={run.run_id} scope="col">
                  <span>
                    <Link to={`/runs/${run.run_id}`}>{run.display_name}</Link>
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">{t("field.state")}</th>
              {runs.map((run) => (
                <td key={run.run_id}>
                  <StateBadge state={run.state} />
                </td>
              ))}
            </tr>
            <tr>
              <th scope="row">{t("field.created")}</th>
              {runs.map((run) => (
                <td key={run.run_id}>{time(run.created_at)}</td>
              ))}
            </tr>
            <tr>
              <th scope="row">{t("field.duration")}</th>
              {runs.map((run) => {
                const ms = elapsed(run.created_at, run.finished_at);
                return <td key={run.run_id}>{ms === undefined ? "—" : duration(ms)}</td>;
              })}
            </tr>
            <Heading text={t("field.parameters")} span={runs.length + 1} />
            {parameters.map(({ name, values, differs }) => (
              <tr key={name} className={differs ? "differs" : undefined}>
                <th scope="row">{name}</th>
                {runs.map((run) => (
                  <td key={run.run_id} className="mono" title={valueText(values[run.run_id])}>
                    {valueText(values[run.run_id])}
                  </td>
                ))}
              </tr>
            ))}
            <Heading text={t("artifact.metrics")} span={runs.length + 1} />
            {scalars.map(({ name, task_name, values, differs }) => (
              <tr key={`${task_name} ${name}`} className={differs ? "differs" : undefined}>
                <th scope="row">
                  {name} <span className="muted">{task_name}</span>
                </th>
                {runs.map((run) => (
                  <td key={run.run_id} className="number">
                    {show(values[run.run_id])}
                  </td>
                ))}
              </tr>
            ))}
            {scalars.length === 0 && (
              <tr>
                <td colSpan={runs.length + 1} className="muted">
                  {t("compare.noMetrics")}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </section>
      {curves.length > 0 && (
        <section className="card">
          <h2>{t("chart.roc")}</h2>
          <RocChart curves={curves} />
        </section>
      )}
      {runs.some((run) => run.metrics?.confusion_matrices?.length) && (
        <section className="card">
          <h2>{t("chart.confusion")}</h2>
          <div className="beside">
            {runs.flatMap((run) =>
              (run.metrics?.confusion_matrices ?? []).map((matrix) => (
                <ConfusionMatrix
                  key={`${run.run_id} ${matrix.artifact_id} ${matrix.slice}`}
                  title={[run.display_name, matrix.task_name, matrix.slice].filter(Boolean).join(" · ")}
                  labels={matrix.labels}
                  rows={matrix.rows}
                />
              )),
            )}
          </div>
        </section>
      )}
      {axes.length >= 2 && runs.length >= 2 && (
        <section className="card">
          <h2>{t("chart.parallel")}</h2>
          <ParallelCoordinates axes={axes} names={names} />
          <h2>{t("chart.scatterTitle")}</h2>
          <Scatter axes={axes} names={names} />
        </section>
      )}
    </div>
  );
}

function Heading({ text, span }: { text: string; span: number }) {
  return (
    <tr className="heading">
      <th colSpan={span} scope="colgroup">
        {text}
      </th>
    </tr>
  );
}

/** Whether a metric is not the same in all runs. */
function differ({ values }: ScalarRow, runs: Comparison["runs"]): boolean {
  const shown = runs.map(({ run_id }) => JSON.stringify(values[run_id]?.map(({ value }) => value)));
  return shown.some((one) => one !== shown[0]);
}

/** An axis for each parameter that differs and each metric: of a task in a loop its mean. */
function axesOf({ runs, parameters = [], scalars = [] }: Comparison): Axis[] {
  const plain = (value: Json | undefined) =>
    value === undefined || value === null ? undefined : typeof value === "number" ? value : valueText(value);
  return [
    ...parameters
      .filter(({ differs }) => differs)
      .map(({ name, values }) => ({ name, values: runs.map((run) => plain(values[run.run_id])) })),
    ...scalars.map(({ name, task_name, values }) => ({
      name: task_name ? `${task_name}.${name}` : name,
      values: runs.map((run) => {
        const list = values[run.run_id];
        return list?.length ? list.reduce((sum, { value }) => sum + value, 0) / list.length : undefined;
      }),
    })),
  ];
}
