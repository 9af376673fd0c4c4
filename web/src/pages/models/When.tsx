import { useTranslator } from "../../i18n";

/** A time in milliseconds, as digits. */
export function When({ time: given }: { time: string }) {
  const { time, ago } = useTranslator();
  const iso = new Date(Number(given)).toISOString();
  return <span title={time(iso)}>{ago(iso)}</span>;
}
