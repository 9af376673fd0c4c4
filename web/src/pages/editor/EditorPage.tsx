import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, FilePlus, Play, Redo2, Save, Undo2 } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { stringify } from "yaml";
import { uploadPipeline, uploadVersion } from "../../api/pipelines";
import { pipelinesQuery, versionQuery, versionsQuery } from "../../api/queries";
import { createRun } from "../../api/runs";
import type { JsonObject } from "../../api/types";
import { type PipelineSpec, pipelineSpecOf } from "../../graph/spec";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Menu } from "../../ui/Menu";
import { Empty, ErrorNotice, errorText } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { check, ParameterForm, type Typed } from "../../ui/ParameterForm";
import { Select } from "../../ui/Select";
import { toast } from "../../ui/toasts";
import { Canvas } from "./Canvas";
import { addGroup, addTask, emptySpec, problemsOf, setInput } from "./edit";
import { Inspector } from "./Inspector";
import { Palette } from "./Palette";
import type { Scope } from "./ports";
import { type EditorNode, editorScene } from "./scene";
import { toPython } from "./toPython";
import "../../graph/graph.css";
import "../runs/panel.css";
import "./editor.css";

/** A pipeline is drawn: components put on it, their ports connected, run, saved and written out. */
export function EditorPage() {
  const { t } = useTranslator();
  const [params] = useSearchParams();
  const pipeline = params.get("pipeline") ?? "";
  const versions = useInfiniteQuery({
    ...versionsQuery(pipeline, { sort: "created_at desc", pageSize: 1 }),
    enabled: pipeline !== "",
  });
  const latest = params.get("version") ?? versions.data?.pages[0]?.items[0]?.pipeline_version_id ?? "";
  const version = useQuery({ ...versionQuery(pipeline, latest), enabled: pipeline !== "" && latest !== "" });
  const opened = useMemo(() => pipelineSpecOf(version.data?.pipeline_spec), [version.data]);
  if (versions.error ?? version.error)
    return (
      <Page title={t("editor.title")}>
        <ErrorNotice error={versions.error ?? version.error} />
      </Page>
    );
  if (version.data && !opened)
    return (
      <Page title={t("editor.title")} crumbs={[{ to: `/pipelines/${pipeline}`, label: version.data.display_name }]}>
        <Empty title={t("editor.workflow")} />
      </Page>
    );
  return <Editor key={`${pipeline} ${latest} ${opened === undefined}`} pipeline={pipeline} opened={opened} />;
}

/** What was drawn and not saved stays in this browser. */
const draftKey = "pipeline draft";

function readDraft(): PipelineSpec | undefined {
  try {
    return pipelineSpecOf(JSON.parse(localStorage.getItem(draftKey) ?? "") as JsonObject);
  } catch {
    return undefined;
  }
}

function Editor({ pipeline, opened }: { pipeline: string; opened?: PipelineSpec }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [history, setHistory] = useState(() => ({
    past: [] as PipelineSpec[],
    now: opened ?? readDraft() ?? emptySpec("my-pipeline"),
    future: [] as PipelineSpec[],
  }));
  const [selected, setSelected] = useState<string>();
  const [running, setRunning] = useState(false);
  const spec = history.now;
  const pipelines = useInfiniteQuery(pipelinesQuery({ sort: "created_at desc", pageSize: 200 }));
  const scene = useMemo(() => editorScene(spec), [spec]);
  const problems = useMemo(() => problemsOf(spec), [spec]);
  const node = scene.nodes.find(({ id }) => id === selected);
  // What is added goes into the group that is chosen, or beside the task that is.
  const scope: Scope = node ? (node.group ? [...node.scope, node.name] : node.scope) : [];
  useEffect(() => {
    if (!opened) localStorage.setItem(draftKey, JSON.stringify(spec));
  }, [spec, opened]);

  const change = (next: PipelineSpec) =>
    setHistory(({ past, now }) => ({ past: [...past.slice(-99), now], now: next, future: [] }));
  const undo = () =>
    setHistory(({ past, now, future }) => {
      const before = past.at(-1);
      return before ? { past: past.slice(0, -1), now: before, future: [now, ...future] } : { past, now, future };
    });
  const redo = () =>
    setHistory(({ past, now, future }) => {
      const [after, ...rest] = future;
      return after ? { past: [...past, now], now: after, future: rest } : { past, now, future };
    });
  const undoRef = useRef({ undo, redo });
  undoRef.current = { undo, redo };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // In a field these keys are the field's own.
      if (!(event.ctrlKey || event.metaKey) || (event.target as HTMLElement).closest("input, textarea, select")) return;
      const key = event.key.toLowerCase();
      if (key === "z" && !event.shiftKey) undoRef.current.undo();
      else if (key === "y" || key === "z") undoRef.current.redo();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  function connect(from: EditorNode, output: { name: string }, to: EditorNode, input: Parameters<typeof setInput>[3]) {
    try {
      change(
        setInput(spec, to.scope, to.name, input, {
          from: "task",
          scope: from.scope,
          task: from.name,
          output: output.name,
        }),
      );
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  function savePython() {
    try {
      saveFile(`${spec.pipelineInfo?.name?.replace(/\W+/g, "_")}.py`, toPython(spec));
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  const yaml = () => stringify(spec, { lineWidth: 0 });
  async function save() {
    const name = spec.pipelineInfo?.name || "pipeline";
    const file = new File([yaml()], `${name}.yaml`, { type: "application/yaml" });
    try {
      if (pipeline) await uploadVersion(pipeline, { file, name: `${name} ${new Date().toISOString().slice(0, 19)}` });
      const made = pipeline || (await uploadPipeline({ file, name })).pipeline_id;
      await queries.invalidateQueries({ queryKey: ["pipeline"] });
      navigate(`/pipelines/${made}`);
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  return (
    <Page
      title={t("editor.title")}
      crumbs={[{ to: "/pipelines", label: t("pipelines.title") }]}
      actions={
        <>
          <Select
            label={t("editor.open")}
            value={pipeline}
            onChange={(id) => navigate(id ? `/editor?pipeline=${id}` : "/editor")}
            options={[
              { id: "", label: t("editor.draft") },
              ...(pipelines.data?.pages.flatMap(({ items }) =>
                items.map((one) => ({ id: one.pipeline_id, label: one.display_name })),
              ) ?? []),
            ]}
          />
          <IconButton label={t("editor.new")} onPress={() => change(emptySpec("my-pipeline"))}>
            <FilePlus size={16} aria-hidden />
          </IconButton>
          <IconButton label={t("editor.undo")} isDisabled={history.past.length === 0} onPress={undo}>
            <Undo2 size={16} aria-hidden />
          </IconButton>
          <IconButton label={t("editor.redo")} isDisabled={history.future.length === 0} onPress={redo}>
            <Redo2 size={16} aria-hidden />
          </IconButton>
          <Menu
            label={t("editor.export")}
            entries={[
              {
                id: "yaml",
                label: t("editor.exportYaml"),
                onAction: () => saveFile(`${spec.pipelineInfo?.name}.yaml`, yaml()),
              },
              {
                id: "python",
                label: t("editor.exportPython"),
                onAction: savePython,
              },
            ]}
          >
            <Download size={15} aria-hidden />
            {t("editor.export")}
          </Menu>
          <Button onPress={save}>
            <Save size={15} aria-hidden />
            {t("action.save")}
          </Button>
          <Button look="primary" onPress={() => setRunning(true)}>
            <Play size={15} aria-hidden />
            {t("editor.run")}
          </Button>
        </>
      }
    >
      {problems.length > 0 && (
        <p className="muted" role="status">
          {t("editor.missing", { list: problems.map(({ task, port }) => `${task}.${port}`).join(", ") })}
        </p>
      )}
      <div className="split editor">
        <Palette
          onAdd={(component) => {
            const [next, name] = addTask(spec, scope, component);
            change(next);
            setSelected([...scope, name].join("/"));
          }}
          onGroup={(kind) => {
            const [next, name] = addGroup(spec, scope, kind);
            change(next);
            setSelected([...scope, name].join("/"));
          }}
        />
        <Canvas
          spec={spec}
          selected={selected}
          problems={problems}
          onSelect={(found) => setSelected(found?.id)}
          onConnect={connect}
        />
        <Inspector spec={spec} node={node} onChange={change} onRemoved={() => setSelected(undefined)} />
      </div>
      {running && <RunDialog spec={spec} onClose={() => setRunning(false)} />}
    </Page>
  );
}

function saveFile(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Runs the drawing as it is, without saving it as a pipeline. */
function RunDialog({ spec, onClose }: { spec: PipelineSpec; onClose(): void }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [typed, setTyped] = useState<Typed>({});
  const [problems, setProblems] = useState<{ [name: string]: string }>({});
  const [failure, setFailure] = useState<string>();
  const specs = spec.root.inputDefinitions?.parameters ?? {};
  async function start() {
    const checked = check(specs, typed);
    setProblems(checked.problems);
    if (Object.keys(checked.problems).length > 0) return;
    try {
      const made = await createRun({
        display_name: spec.pipelineInfo?.name || "run",
        pipeline_spec: spec as unknown as JsonObject,
        runtime_config: { parameters: checked.values },
      });
      await queries.invalidateQueries({ queryKey: ["run", "list"] });
      navigate(`/runs/${made.run_id}`);
    } catch (error) {
      setFailure(errorText(error, t));
    }
  }
  return (
    <Dialog title={t("editor.run")} onClose={onClose}>
      <ParameterForm specs={specs} typed={typed} problems={problems} onChange={setTyped} />
      {failure !== undefined && (
        <div role="alert" className="notice failed">
          <pre>{failure}</pre>
        </div>
      )}
      <div className="buttons">
        <Button onPress={onClose}>{t("action.cancel")}</Button>
        <Button look="primary" onPress={start}>
          {t("newRun.start")}
        </Button>
      </div>
    </Dialog>
  );
}
