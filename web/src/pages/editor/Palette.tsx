import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import { Code, GitBranch, Plus, Repeat } from "lucide-react";
import { useMemo, useState } from "react";
import { getJson, own } from "../../api/client";
import { examplesQuery } from "../../api/overview";
import { pipelinesQuery, versionQuery, versionsQuery } from "../../api/queries";
import type { JsonObject } from "../../api/types";
import { type ExecutorSpec, executorOf, type PipelineSpec, pipelineSpecOf } from "../../graph/spec";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { errorText } from "../../ui/Notice";
import { SearchField } from "../../ui/SearchField";
import { Select } from "../../ui/Select";
import type { Component, GroupKind } from "./edit";
import { pythonComponent } from "./python";

/** The components that a pipeline is made of, each by its name, and the pipeline as a whole. */
export function componentsOf(spec: PipelineSpec): Component[] {
  const found: Component[] = Object.entries(spec.components ?? {}).flatMap(([name, component]) => {
    const executor = executorOf(spec, component);
    return executor && !component.dag ? [{ name: name.replace(/^comp-/, ""), spec: component, executor }] : [];
  });
  const whole: Component = {
    name: spec.pipelineInfo?.name ?? "pipeline",
    spec: spec.root,
    components: spec.components,
    executors: spec.deploymentSpec?.executors,
  };
  return [...found, whole];
}

interface Props {
  onAdd(component: Component): void;
  onGroup(kind: GroupKind): void;
}

/** What can be put into the pipeline: the server's examples, pipelines that were uploaded, a Python function. */
export function Palette({ onAdd, onGroup }: Props) {
  const { t } = useTranslator();
  const [from, setFrom] = useState("");
  const [search, setSearch] = useState("");
  const [pasting, setPasting] = useState(false);
  const examples = useQuery(examplesQuery);
  const pipelines = useInfiniteQuery(pipelinesQuery({ sort: "created_at desc", pageSize: 100 }));
  const specs = useQueries({
    queries: (examples.data ?? []).map(({ name }) => ({
      queryKey: ["examples", name],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        getJson<{ pipeline_spec: JsonObject }>(`${own}/examples/${encodeURIComponent(name)}`, undefined, signal),
    })),
  });
  const versions = useInfiniteQuery({
    ...versionsQuery(from, { sort: "created_at desc", pageSize: 1 }),
    enabled: from !== "",
  });
  const latest = versions.data?.pages[0]?.items[0]?.pipeline_version_id ?? "";
  const version = useQuery({ ...versionQuery(from, latest), enabled: from !== "" && latest !== "" });
  const library = specs.flatMap(({ data }) => {
    const spec = pipelineSpecOf(data?.pipeline_spec);
    return spec ? componentsOf(spec) : [];
  });
  const like = library.find(({ executor }) => executor?.container?.args?.includes("--function_to_execute"))?.executor;
  const chosen = useMemo(() => {
    const spec = pipelineSpecOf(version.data?.pipeline_spec);
    return spec ? componentsOf(spec) : [];
  }, [version.data]);
  const shown = (from === "" ? library : chosen).filter(({ name }) => name.includes(search.toLowerCase()));
  return (
    <aside className="palette" aria-label={t("editor.palette")}>
      <div className="stack">
        <Button onPress={() => setPasting(true)}>
          <Code size={15} aria-hidden />
          {t("editor.paste")}
        </Button>
        <div className="row">
          <Button small onPress={() => onGroup("condition")}>
            <GitBranch size={14} aria-hidden />
            {t("node.condition")}
          </Button>
          <Button small onPress={() => onGroup("loop")}>
            <Repeat size={14} aria-hidden />
            {t("node.loop")}
          </Button>
        </div>
        <Select
          label={t("editor.from")}
          value={from}
          onChange={setFrom}
          options={[
            { id: "", label: t("editor.library") },
            ...(pipelines.data?.pages.flatMap(({ items }) =>
              items.map((one) => ({ id: one.pipeline_id, label: one.display_name })),
            ) ?? []),
          ]}
        />
        <SearchField label={t("editor.searchComponents")} value={search} onChange={setSearch} delay={0} />
        <ul className="components">
          {shown.map((component, index) => (
            <li key={`${component.name} ${index}`}>
              <button
                type="button"
                onClick={() => onAdd(component)}
                aria-label={`${t("editor.add", { name: component.name })}${component.spec.dag ? ` ${t("node.dag")}` : ""}`}
              >
                <Plus size={14} aria-hidden />
                <span className="ellipsis">{component.name}</span>{" "}
                {component.spec.dag && <span className="tag">{t("node.dag")}</span>}
              </button>
            </li>
          ))}
        </ul>
      </div>
      {pasting && <PasteDialog like={like} onAdd={onAdd} onClose={() => setPasting(false)} />}
    </aside>
  );
}

const sample = "def add(a: float, b: float = 1.0) -> float:\n    return a + b\n";

function PasteDialog({
  like,
  onAdd,
  onClose,
}: {
  like?: ExecutorSpec;
  onAdd(component: Component): void;
  onClose(): void;
}) {
  const { t } = useTranslator();
  const [text, setText] = useState(sample);
  const [problem, setProblem] = useState<string>();
  function add() {
    try {
      onAdd(pythonComponent(text, like ?? {}));
      onClose();
    } catch (error) {
      setProblem(errorText(error, t));
    }
  }
  return (
    <Dialog title={t("editor.paste")} wide onClose={onClose}>
      <div className="field">
        <textarea
          aria-label={t("editor.function")}
          rows={14}
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <span className="help">{t("editor.functionHelp")}</span>
      </div>
      {problem !== undefined && (
        <p role="alert" className="problem-text">
          {problem}
        </p>
      )}
      <div className="buttons">
        <Button onPress={onClose}>{t("action.cancel")}</Button>
        <Button look="primary" onPress={add}>
          {t("editor.addIt")}
        </Button>
      </div>
    </Dialog>
  );
}
