import { useQuery } from "@tanstack/react-query";
import { stringify } from "yaml";
import { getJson } from "../../api/client";
import type { JsonObject, Run, Task } from "../../api/types";
import { useTranslator } from "../../i18n";
import { ErrorNotice, Loading } from "../../ui/Notice";

interface EventList {
  items: { metadata: { name: string }; reason?: string; message?: string; type?: string; lastTimestamp?: string }[];
}

/** The pod of the task's last attempt, as the resource that it is, and what happened to it. */
export function PodPanel({ task }: { run: Run; task: Task }) {
  const { t, time } = useTranslator();
  const name = task.pods?.at(-1)?.name ?? "";
  const pods = useQuery({
    queryKey: ["pod", "named", name],
    queryFn: ({ signal }) =>
      getJson<{ items: JsonObject[] }>("/api/v1/pods", { fieldSelector: `metadata.name=${name}` }, signal),
  });
  const events = useQuery({
    queryKey: ["event", "of", name],
    queryFn: ({ signal }) =>
      getJson<EventList>("/api/v1/events", { fieldSelector: `involvedObject.name=${name}` }, signal),
  });
  const pod = pods.data?.items[0];
  return (
    <div className="stack">
      <section className="stack">
        <h3>{t("task.events")}</h3>
        {events.data?.items.length === 0 && <p className="muted">{t("task.noEvents")}</p>}
        {events.data?.items.map((event) => (
          <p key={event.metadata.name}>
            <strong>{event.reason}</strong> <span className="muted">{time(event.lastTimestamp)}</span>
            <br />
            {event.message}
          </p>
        ))}
      </section>
      <section className="stack">
        <h3>{name}</h3>
        {pods.isPending && <Loading />}
        {pods.error && <ErrorNotice error={pods.error} />}
        {pods.data && !pod && <p className="muted">{t("task.podGone")}</p>}
        {pod && <pre className="code-block">{stringify(pod)}</pre>}
      </section>
    </div>
  );
}
