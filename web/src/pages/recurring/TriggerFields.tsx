import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { previewQuery, type Trigger } from "../../api/recurring";
import { useTranslator } from "../../i18n";
import { errorText } from "../../ui/Notice";

/** A schedule as it is typed. */
export interface TypedTrigger {
  kind: "interval" | "cron";
  every: string;
  unit: string;
  cron: string;
  start: string;
  end: string;
  concurrency: string;
  catchUp: boolean;
}

export const firstTrigger: TypedTrigger = {
  kind: "cron",
  every: "1",
  unit: "3600",
  cron: "0 0 6 * * *",
  start: "",
  end: "",
  concurrency: "1",
  catchUp: true,
};

const units = [
  ["60", "recurring.minutes"],
  ["3600", "recurring.hours"],
  ["86400", "recurring.days"],
  ["604800", "recurring.weeks"],
] as const;

/** What the server takes. Times are typed in the reader's zone. */
export function triggerOf(typed: TypedTrigger): Trigger {
  const window = {
    start_time: typed.start ? new Date(typed.start).toISOString() : undefined,
    end_time: typed.end ? new Date(typed.end).toISOString() : undefined,
  };
  if (typed.kind === "cron") return { cron_schedule: { cron: typed.cron.trim(), ...window } };
  const seconds = Math.round(Number(typed.every) * Number(typed.unit));
  return { periodic_schedule: { interval_second: String(Number.isFinite(seconds) ? seconds : 0), ...window } };
}

export function typedTriggerOf(trigger: Trigger | undefined): TypedTrigger {
  const window = trigger?.cron_schedule ?? trigger?.periodic_schedule;
  const seconds = Number(trigger?.periodic_schedule?.interval_second ?? 0);
  const [unit] = [...units].reverse().find(([size]) => seconds > 0 && seconds % Number(size) === 0) ?? ["60"];
  return {
    ...firstTrigger,
    kind: trigger?.cron_schedule?.cron ? "cron" : "interval",
    cron: trigger?.cron_schedule?.cron ?? firstTrigger.cron,
    every: seconds > 0 ? String(seconds / Number(unit)) : "1",
    unit,
    start: localText(window?.start_time),
    end: localText(window?.end_time),
  };
}

/** As an input of type datetime-local has it. */
function localText(iso: string | undefined): string {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

interface Props {
  typed: TypedTrigger;
  onChange(typed: TypedTrigger): void;
}

export function TriggerFields({ typed, onChange }: Props) {
  const { t } = useTranslator();
  const id = useId();
  const set = (change: Partial<TypedTrigger>) => onChange({ ...typed, ...change });
  return (
    <section className="card stack">
      <h2>{t("recurring.trigger")}</h2>
      <div className="field">
        <label htmlFor={`${id}-kind`}>{t("recurring.kind")}</label>
        <select id={`${id}-kind`} value={typed.kind} onChange={(event) => set({ kind: event.target.value as "cron" })}>
          <option value="cron">{t("recurring.cron")}</option>
          <option value="interval">{t("recurring.interval")}</option>
        </select>
      </div>
      {typed.kind === "cron" ? (
        <div className="field">
          <label htmlFor={`${id}-cron`}>{t("recurring.expression")}</label>
          <input id={`${id}-cron`} value={typed.cron} onChange={(event) => set({ cron: event.target.value })} />
          <span className="help">{t("recurring.cronHelp")}</span>
        </div>
      ) : (
        <div className="row">
          <div className="field grow">
            <label htmlFor={`${id}-every`}>{t("recurring.every")}</label>
            <input
              id={`${id}-every`}
              type="number"
              min="1"
              value={typed.every}
              onChange={(event) => set({ every: event.target.value })}
            />
          </div>
          <div className="field grow">
            <label htmlFor={`${id}-unit`}>{t("recurring.unit")}</label>
            <select id={`${id}-unit`} value={typed.unit} onChange={(event) => set({ unit: event.target.value })}>
              {units.map(([seconds, label]) => (
                <option key={seconds} value={seconds}>
                  {t(label)}
                </option>
              ))}
            </select>
          </div>
        </div>
      )}
      <div className="row">
        {(["start", "end"] as const).map((which) => (
          <div key={which} className="field grow">
            <label htmlFor={`${id}-${which}`}>{t(`recurring.${which}`)}</label>
            <input
              id={`${id}-${which}`}
              type="datetime-local"
              value={typed[which]}
              onChange={(event) => set({ [which]: event.target.value })}
            />
          </div>
        ))}
      </div>
      <div className="field">
        <label htmlFor={`${id}-concurrency`}>{t("recurring.concurrency")}</label>
        <input
          id={`${id}-concurrency`}
          type="number"
          min="1"
          max="10"
          value={typed.concurrency}
          onChange={(event) => set({ concurrency: event.target.value })}
        />
      </div>
      <label className="row">
        <input type="checkbox" checked={typed.catchUp} onChange={(event) => set({ catchUp: event.target.checked })} />
        {t("recurring.catchUpChoice")}
      </label>
      <Preview trigger={triggerOf(typed)} />
    </section>
  );
}

function Preview({ trigger }: { trigger: Trigger }) {
  const { t, time } = useTranslator();
  const query = useQuery(previewQuery(trigger, 5));
  if (query.error)
    return (
      <p role="alert" className="problem-text">
        {errorText(query.error, t)}
      </p>
    );
  return (
    <div>
      <h3>{t("recurring.next")}</h3>
      {query.data?.upcoming?.length === 0 && <p className="muted">{t("recurring.never")}</p>}
      <ol className="next-fires">
        {query.data?.upcoming?.map(({ scheduled_at }) => (
          <li key={scheduled_at}>{time(scheduled_at)}</li>
        ))}
      </ol>
    </div>
  );
}
