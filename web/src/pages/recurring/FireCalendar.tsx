import { useMemo } from "react";
import { useTranslator } from "../../i18n";
import "./calendar.css";

/** The month of the first fire as a calendar with how often it fires each day, and the next times one by one. */
export function FireCalendar({ fires }: { fires: Date[] }) {
  const { t, language, time, number } = useTranslator();
  const first = fires[0];
  const weeks = useMemo(() => (first ? monthOf(first) : []), [first]);
  const perDay = useMemo(() => {
    const counts = new Map<string, number>();
    for (const fire of fires) counts.set(fire.toDateString(), (counts.get(fire.toDateString()) ?? 0) + 1);
    return counts;
  }, [fires]);
  if (!first) return <p className="muted">{t("recurring.never")}</p>;
  const last = fires.at(-1) as Date;
  const dayNames = new Intl.DateTimeFormat(language, { weekday: "short" });
  return (
    <div className="stack">
      <table className="calendar">
        <caption>{new Intl.DateTimeFormat(language, { year: "numeric", month: "long" }).format(first)}</caption>
        <thead>
          <tr>
            {weeks[1]?.map((day) => (
              <th key={day.getDay()} scope="col">
                {dayNames.format(day)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeks.map((week) => (
            <tr key={week[0]?.toDateString()}>
              {week.map((day) => {
                const count = perDay.get(day.toDateString()) ?? 0;
                // Beyond the last fire that was asked for nothing is known.
                const more = day.toDateString() === last.toDateString() && fires.length >= 200;
                return (
                  <td
                    key={day.toDateString()}
                    className={[
                      day.getMonth() !== first.getMonth() && "other",
                      count > 0 && "fires",
                      day.toDateString() === new Date().toDateString() && "today",
                    ]
                      .filter(Boolean)
                      .join(" ")}
                  >
                    <span>{day.getDate()}</span>
                    {count > 0 && (
                      <strong title={t("recurring.perDay", { count: number(count) })}>
                        {number(count)}
                        {more && "+"}
                      </strong>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <ol className="next-fires">
        {fires.slice(0, 10).map((fire) => (
          <li key={fire.toISOString()}>{time(fire.toISOString())}</li>
        ))}
      </ol>
    </div>
  );
}

/** The weeks, from Sunday, that the day's month lies in. */
function monthOf(day: Date): Date[][] {
  const begin = new Date(day.getFullYear(), day.getMonth(), 1);
  begin.setDate(1 - begin.getDay());
  const weeks: Date[][] = [];
  for (const at = begin; weeks.length === 0 || at.getMonth() === day.getMonth(); ) {
    const week: Date[] = [];
    for (let of = 0; of < 7; of++, at.setDate(at.getDate() + 1)) week.push(new Date(at));
    weeks.push(week);
  }
  return weeks;
}
