import { useMemo } from "react";
import type { Task } from "../../api/types";
import { useTranslator } from "../../i18n";
import { type Column, DataTable } from "../../ui/DataTable";
import { duration, elapsed } from "../../ui/format";
import { Empty } from "../../ui/Notice";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import { StateBadge } from "../../ui/StateBadge";
import { useUrlState } from "../../ui/useUrlState";

interface Props {
  tasks: Task[];
  selected: string;
  onSelect(task: Task): void;
}

const states = ["RUNNING", "PENDING", "FAILED", "SUCCEEDED", "CACHED", "SKIPPED", "CANCELED"] as const;

/** The run's tasks as a list: what the graph shows, for who would rather read, search and sort. */
export function TaskList({ tasks, onSelect }: Props) {
  const { t, time } = useTranslator();
  const [search, setSearch] = useUrlState("find");
  const [state, setState] = useUrlState("taskState");
  const [sort, setSort] = useUrlState("taskSort", "start_time asc");
  const shown = useMemo(() => {
    const [field, order] = sort.split(" ") as [keyof Task, string];
    const wanted = search.toLowerCase();
    const key = (task: Task) =>
      field === "end_time" ? (elapsed(task.start_time, task.end_time) ?? 0) : String(task[field] ?? "~");
    return tasks
      .filter(
        (task) =>
          task.type !== "ROOT" &&
          (!state || task.state === state) &&
          (task.scope_path ?? task.name).toLowerCase().includes(wanted),
      )
      .sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const compared = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return order === "desc" ? -compared : compared;
      });
  }, [tasks, search, state, sort]);
  const columns: Column<Task>[] = [
    {
      id: "name",
      header: t("field.name"),
      sort: "name",
      cell: (task) => (
        <button type="button" className="link" onClick={() => onSelect(task)}>
          {task.display_name ?? task.name}
        </button>
      ),
    },
    { id: "state", header: t("field.state"), sort: "state", cell: (task) => <StateBadge state={task.state} /> },
    {
      id: "path",
      header: t("task.path"),
      cell: (task) => (
        <span className="muted" title={task.scope_path}>
          {task.scope_path?.replace(/^root\//, "")}
        </span>
      ),
    },
    { id: "started", header: t("field.started"), sort: "start_time", cell: (task) => time(task.start_time) },
    {
      id: "duration",
      header: t("field.duration"),
      sort: "end_time",
      number: true,
      cell: (task) => {
        const ms = elapsed(task.start_time, task.end_time);
        return ms === undefined ? "—" : duration(ms);
      },
    },
  ];
  return (
    <div className="page-part">
      <div className="toolbar">
        <SearchField label={t("graph.search")} value={search} onChange={setSearch} />
        <Select
          label={t("field.state")}
          value={state}
          onChange={setState}
          options={[
            { id: "", label: t("runs.anyState") },
            ...states.map((id) => ({ id, label: t(`state.${id.toLowerCase()}` as "state.running") })),
          ]}
        />
      </div>
      <DataTable
        label={t("run.tasks")}
        items={shown}
        columns={columns}
        idOf={(task) => task.task_id}
        sort={sort}
        onSort={setSort}
        empty={<Empty title={t("runs.noMatch")} />}
      />
    </div>
  );
}
